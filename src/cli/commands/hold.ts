import type { Command } from 'commander'
import { connect } from '../client.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson, relativeTime, table } from '../output.ts'

interface StepView {
  readonly by: { readonly email?: string; readonly name?: string; readonly id: string }
  readonly reason: string
  readonly at: string
}

interface HoldView {
  readonly id: string
  readonly state: 'holds' | 'released'
  readonly on: Readonly<Record<string, string>>
  readonly placed: StepView
  readonly releases: readonly StepView[]
}

interface ScopeChoice {
  readonly session?: string
  readonly person?: string
  readonly connection?: string
  readonly reason: string
}

async function place(choice: ScopeChoice, command: Command): Promise<void> {
  const { reason, session, person, connection } = choice
  const on = Object.fromEntries(
    Object.entries({ session, person, connection }).filter(([, value]) => value !== undefined),
  )
  if (Object.keys(on).length !== 1)
    throw new Failure('give one of --session, --person, --connection', exit.usage)
  const options = globals(command)
  const hold = await (await connect(options)).call<HoldView>('/holds', {
    method: 'POST',
    body: { on, reason },
  })
  if (options.json === true) return printJson(hold)
  print(hold.id)
  hint(`nothing of ${describe(hold)} is erased or removed until two people release it`)
}

async function release(id: string, choice: { reason: string }, command: Command): Promise<void> {
  const options = globals(command)
  const path = `/holds/${encodeURIComponent(id)}/release`
  const hold = await (await connect(options)).call<HoldView>(path, { method: 'POST', body: choice })
  if (options.json === true) return printJson(hold)
  hint(hold.state === 'released' ? `${id} has ended` : `${id} still holds: one more person must release it`)
}

async function list(choice: { all?: boolean }, command: Command): Promise<void> {
  const options = globals(command)
  const { holds } = await (await connect(options)).call<{ holds: HoldView[] }>('/holds')
  const shown = holds.filter(each => choice.all === true || each.state === 'holds')
  if (options.json === true) return shown.forEach(printJson)
  const rows = shown.map(each => [
    each.id,
    paint(each.state === 'holds' ? 'yellow' : 'dim', each.state),
    describe(each),
    relativeTime(each.placed.at),
    name(each.placed),
    `${each.releases.length} of 2`,
    each.placed.reason,
  ])
  print(table(['hold', 'state', 'on', 'placed', 'by', 'releases', 'reason'], rows))
}

function describe({ on }: HoldView): string {
  return Object.entries(on)
    .map(([what, which]) => `${what} ${which}`)
    .join(', ')
}

function name({ by }: StepView): string {
  return by.email ?? by.name ?? by.id
}

export function holdCommand(program: Command): void {
  const hold = program
    .command('hold')
    .description('Legal holds: what is under one is neither erased nor removed')
  hold
    .command('place')
    .description('Place a hold on a session, a person or a connection')
    .option('--session <id>', 'one session')
    .option('--person <who>', 'id or e-mail address, also as whom an agent acts for')
    .option('--connection <name>', 'everything that went over a connection')
    .requiredOption('--reason <words>', 'why; it stays in the log')
    .action(place)
  hold
    .command('release <id>')
    .description('Agree to the end of a hold. It ends when two different people have')
    .requiredOption('--reason <words>', 'why; it stays in the log')
    .action(release)
  hold.command('list').description('Holds in force').option('--all', 'those that have ended too').action(list)
}
