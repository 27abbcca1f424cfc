import type { Command } from 'commander'
import type { Entry } from '../../audit/events.ts'
import { connect, lines } from '../client.ts'
import { entryLine } from '../entry-text.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, paintOutcome, print, printJson, relativeTime, table } from '../output.ts'
import { openLocally } from '../local-replay.ts'
import { replayInSandbox } from './sessions-sandbox.ts'
import { undoSession } from './sessions-undo.ts'
import { curlCommand, replayText, type ReplayedAction } from '../replay-text.ts'

interface SessionView {
  readonly id: string
  readonly state: string
  readonly started?: string
  readonly ended?: string
  readonly reason?: string
  readonly subject: NonNullable<Entry['subject']>
  readonly connection: NonNullable<Entry['connection']>
  readonly client?: Entry['client']
  readonly totals?: Readonly<Record<string, number>>
}

interface ReplayPage {
  readonly session: SessionView
  readonly actions: ReplayedAction[]
  readonly next?: string
}

function name({ subject }: SessionView): string {
  const own = subject.email ?? subject.name ?? subject.id
  const acted = subject.on_behalf_of
  return acted === undefined ? own : `${own} for ${acted.email ?? acted.id}`
}

async function list(
  filters: { identity?: string; connection?: string; running?: boolean; limit: string },
  command: Command,
): Promise<void> {
  const options = globals(command)
  const { identity, connection, limit } = filters
  const query = { identity, connection, limit, running: filters.running === true ? 'true' : undefined }
  const { sessions } = await (await connect(options)).call<{ sessions: SessionView[] }>('/sessions', {
    query,
  })
  if (options.json === true) return sessions.forEach(printJson)
  const rows = sessions.map(each => [
    each.id,
    paintOutcome(each.state),
    each.started === undefined ? '' : relativeTime(each.started),
    each.connection.name,
    String(each.totals?.['actions'] ?? ''),
    String(each.totals?.['denied'] ?? ''),
    name(each),
  ])
  print(table(['session', 'state', 'started', 'connection', 'actions', 'denied', 'who'], rows))
}

async function show(id: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const session = await (await connect(options)).call<SessionView>(`/sessions/${encodeURIComponent(id)}`)
  if (options.json === true) return printJson(session)
  print(
    `${paint('bold', session.id)}  ${paintOutcome(session.state)}  ${session.connection.name}  ${name(session)}`,
  )
  for (const [key, value] of Object.entries({
    started: session.started,
    ended: session.ended,
    reason: session.reason,
  })) {
    if (value !== undefined) print(`  ${key.padEnd(8)} ${value}`)
  }
  if (session.client !== undefined) print(`  client   ${session.client.ip} ${session.client.agent ?? ''}`)
  if (session.totals !== undefined) print(`  totals   ${JSON.stringify(session.totals)}`)
}

async function replay(
  id: string,
  choice: {
    curl?: boolean
    action?: string
    identity?: string
    sandbox?: string
    policy?: string
    sandboxHeader: string[]
  },
  command: Command,
): Promise<void> {
  const { sandbox } = choice
  if (sandbox !== undefined) return await replayInSandbox(id, { ...choice, sandbox }, command)
  if (choice.policy !== undefined) throw new Failure('--policy goes with --sandbox', exit.usage)
  const options = globals(command)
  const api = await connect(options)
  let after: string | undefined
  let shown = 0
  do {
    const page: ReplayPage = await api.call(`/sessions/${encodeURIComponent(id)}/replay`, {
      query: { after, limit: 50 },
    })
    if (shown === 0 && options.json !== true && choice.curl !== true) {
      print(`${paint('bold', page.session.id)}  ${page.session.connection.name}  ${name(page.session)}\n`)
    }
    for (const given of page.actions) {
      const action = choice.identity === undefined ? given : await openLocally(api, given, choice.identity)
      if (
        choice.action !== undefined &&
        action.entry.action !== choice.action &&
        action.entry.seq !== choice.action
      )
        continue
      shown++
      if (options.json === true) printJson(action)
      else if (choice.curl === true) print(`# ${entryLine(action.entry)}\n${curlCommand(action)}\n`)
      else print(`${entryLine(action.entry)}\n${replayText(action)}\n`)
    }
    after = page.next
  } while (after !== undefined)
  if (shown === 0)
    throw new Failure(
      choice.action === undefined
        ? 'nothing was done in this session'
        : `no action ${choice.action} in this session`,
    )
  hint('this reading is an entry of the log')
}

async function watch(id: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  await api.call<SessionView>(`/sessions/${encodeURIComponent(id)}`)
  const stream = await api.stream('/audit/stream')
  hint(`watching ${id}; Ctrl-C ends it`)
  for await (const line of lines(stream)) {
    if (!line.startsWith('data: ')) continue
    const entry = JSON.parse(line.slice('data: '.length)) as Entry
    if (entry.session !== id) continue
    if (options.json === true) printJson(entry)
    else print(entryLine(entry))
    if (entry.kind === 'session.ended') return
  }
}

async function kill(id: string, _: unknown, command: Command): Promise<void> {
  await (await connect(globals(command))).call(`/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' })
  hint(`ended ${id}`)
}

export function sessionsCommand(program: Command): void {
  const sessions = program.command('sessions').description('See and replay what identities did')
  sessions
    .command('list')
    .description('Sessions, newest first')
    .option('--identity <who>', 'id, e-mail or name')
    .option('--connection <name>', 'a connection')
    .option('--running', 'only those that run now')
    .option('--limit <n>', 'most sessions', '50')
    .action(list)
  sessions.command('show <id>').description('One session').action(show)
  sessions
    .command('replay <id>')
    .description('What passed, masked as the client saw it. The reading is an entry of the log')
    .option('--curl', 'as curl commands that send the same again through the gateway')
    .option('--action <id>', 'only this action (id or entry index)')
    .option(
      '--identity <file>',
      'an age identity: recordings are opened here, by a key that the gateway has not',
    )
    .option(
      '--sandbox <url>',
      'do it again there, never in production, and show what it changes; see script/practice-datadog',
    )
    .option('--policy <file>', 'with --sandbox: under this policy in place of the one in force')
    .option(
      '--sandbox-header <header>',
      'with --sandbox: a header for it, `Name: value`, repeatable',
      (value: string, all: string[]) => [...all, value],
      [] as string[],
    )
    .action(replay)
  sessions
    .command('undo <id>')
    .description('Set back what a session changed, the last first, by actions of yours through the gateway')
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--yes', 'do not ask back')
    .option('--force', 'also what was changed since by somebody else: their change is lost')
    .option('--action <id>', 'only this action (id or entry index)')
    .option('--identity <file>', 'an age identity: recordings are opened here')
    .action(undoSession)
  sessions.command('watch <id>').description('Show what a running session does, until it ends').action(watch)
  sessions.command('kill <id>').description('End a running session').action(kill)
}
