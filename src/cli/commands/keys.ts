import type { Command } from 'commander'
import { connect } from '../client.ts'
import { globals } from '../globals.ts'
import { hint, print, printJson, relativeTime, table } from '../output.ts'

interface Key {
  readonly vkey: string
  readonly state: string
  readonly managed: boolean
  readonly until?: string
}

function show(keys: readonly Key[], json: boolean): void {
  if (json) {
    for (const key of keys) printJson(key)
    return
  }
  const rows = keys.map(({ vkey, state, managed, until }) => [
    state,
    managed ? 'gateway' : 'configuration',
    until === undefined ? '' : relativeTime(until),
    vkey,
  ])
  print(table(['state', 'kept by', 'signs until', 'key for verifiers'], rows))
}

async function list(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const { keys } = await (await connect(options)).call<{ keys: Key[] }>('/audit/keys')
  show(keys, options.json === true)
}

async function rotate({ overlap }: { readonly overlap: string }, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const { keys } = await api.call<{ keys: Key[] }>('/audit/keys/rotate', {
    method: 'POST',
    body: { overlap },
  })
  show(keys, options.json === true)
  hint('both keys sign until then: give verifiers and witnesses the new one before')
}

export function keysCommand(program: Command): void {
  const keys = program.command('keys').description('The keys that sign the log')
  keys.command('list').description('Show them, and those that signed before').action(list)
  keys
    .command('rotate')
    .description('Replace the key: a new one signs beside the old, which is destroyed after the overlap')
    .option('--overlap <duration>', 'how long both sign', '7d')
    .action(rotate)
}
