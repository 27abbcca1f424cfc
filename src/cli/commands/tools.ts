import type { Command } from 'commander'
import { compareState } from '../../model/compare.ts'
import { changeLines } from '../change-text.ts'
import { connect } from '../client.ts'
import { Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson, relativeTime, table, visible } from '../output.ts'

interface Version {
  readonly pin: string
  readonly seen_at: string
  readonly definition: Readonly<Record<string, unknown>>
}

interface ToolView {
  readonly connection: string
  readonly server: string
  readonly name: string
  readonly state: 'accepted' | 'changed' | 'new'
  readonly accepted?: Version & { readonly by: string }
  readonly waiting?: Version
}

async function tools(command: Command, connection?: string): Promise<readonly ToolView[]> {
  const client = await connect(globals(command))
  return (await client.call<{ tools: ToolView[] }>('/tools', { query: { connection } })).tools
}

async function list(choice: { connection?: string; waiting?: boolean }, command: Command): Promise<void> {
  const all = await tools(command, choice.connection)
  const shown = choice.waiting === true ? all.filter(each => each.state !== 'accepted') : all
  if (globals(command).json === true) return shown.forEach(printJson)
  if (shown.length === 0) return hint('nothing')
  const rows = shown.map(each => [
    `${each.connection}/${visible(each.server)}/${visible(each.name)}`,
    each.state === 'accepted' ? 'accepted' : paint('yellow', each.state),
    relativeTime((each.waiting ?? each.accepted!).seen_at),
  ])
  print(table(['tool', 'state', 'seen'], rows))
}

async function find(path: string, command: Command): Promise<ToolView> {
  const found = (await tools(command)).find(each => `${each.connection}/${each.server}/${each.name}` === path)
  if (found === undefined) throw new Failure(`no tool ${visible(path)}: see sallyport tools list`)
  return found
}

function showTool(tool: ToolView): void {
  print(`${paint('bold', visible(tool.name))}  ${tool.state}`)
  const { accepted, waiting } = tool
  if (accepted !== undefined) print(`  accepted by ${visible(accepted.by)}, ${accepted.pin}`)
  if (waiting === undefined) return print(visible(JSON.stringify(accepted?.definition, null, 2)))
  print(`  waiting, ${waiting.pin}`)
  const after = waiting.definition
  const { changes, cut } = compareState(accepted?.definition ?? {}, { raw: after, masked: after })
  for (const line of changeLines(changes)) print(`    ${line}`)
  if (cut) print('    … and more')
}

async function show(path: string, _choice: unknown, command: Command): Promise<void> {
  const tool = await find(path, command)
  if (globals(command).json === true) printJson(tool)
  else showTool(tool)
}

async function accept(path: string, choice: { pin?: string }, command: Command): Promise<void> {
  const { connection, server, name, waiting } = await find(path, command)
  if (waiting === undefined) throw new Failure(`nothing waits at ${visible(path)}`)
  const body = { connection, server, name, pin: choice.pin ?? waiting.pin }
  const accepted = await (await connect(globals(command))).call<ToolView>('/tools/accept', {
    method: 'POST',
    body,
  })
  if (globals(command).json === true) printJson(accepted)
  else hint(`${visible(path)} may be used as it is now`)
}

export function toolsCommand(program: Command): void {
  const command = program
    .command('tools')
    .description('What upstreams offer, and what of it a person must see first')
  command
    .command('list')
    .description('Every tool that was seen')
    .option('--connection <name>', 'of this connection')
    .option('--waiting', 'only what waits for a person')
    .action(list)
  command
    .command('show <tool>')
    .description('A definition, or how it changed: connection/server/tool')
    .action(show)
  command
    .command('accept <tool>')
    .description('Let it be used as it is defined now: connection/server/tool')
    .option('--pin <digest>', 'only if this is still the definition that waits')
    .action(accept)
}
