/** Statements that run together, each of their actions on the path of its own. */
import { asGatewayError, GatewayError } from '../../errors.ts'
import { perform } from '../../gateway/perform.ts'
import { subjectKey } from '../../model/subject.ts'
import { PostgresAction } from './action.ts'
import { afterStatement } from './after.ts'
import { Aftermath, SessionOver } from './aftermath.ts'
import { type Run, StatementExchange } from './exchange.ts'
import type { Host } from './host.ts'
import { query } from './messages.ts'
import { sqlStates } from './refusal.ts'
import { Round } from './round.ts'
import type { Unit } from './unit.ts'

/** A token that has ended, or was revoked, since the session began ends it: nothing more runs in its name. */
async function stillGood(host: Host): Promise<void> {
  const answer = host.identify()
  const found = answer instanceof Promise ? await answer : answer
  if ('subject' in found && subjectKey(found.subject) === subjectKey(host.session.subject)) return
  throw new SessionOver({
    severity: 'FATAL',
    code: sqlStates.badAuthorization,
    message: 'the token has ended',
  })
}

/** Has the server fail its open transaction: whatever comes then is judged by the server itself. */
export async function failTransaction(host: Host): Promise<void> {
  host.upstream.send(query('refused by the gateway'))
  for (;;) {
    const each = await host.answer()
    if (each.type !== 'Z') continue
    host.ready(each)
    return
  }
}

/** With what they act on, where a rule asks for that. Where it can't be told, they do not run. */
async function withResources(host: Host, units: readonly Unit[], synced: boolean): Promise<readonly Unit[]> {
  const { gateway, session } = host
  const asked = units.some(({ judgement }) =>
    judgement.operations.some(({ name }) => gateway.policy.demands(session.target, name).resources),
  )
  if (!asked || units.some(each => each.problem !== undefined)) return units
  try {
    await using lease = await gateway.credentials.lease(session)
    const resources = await host.names.of(units, { lease, synced })
    return units.map((unit, at) => ({ ...unit, resources: resources[at]! }))
  } catch (error) {
    const { detail, title } = asGatewayError(error)
    return units.map(unit => ({ ...unit, problem: { code: '58000', message: detail ?? title } }))
  }
}

/** Performs the actions of these statements, to their ends. What goes upstream is `bytes`, once all are cleared. */
export async function performAll(
  host: Host,
  given: readonly Unit[],
  of: {
    readonly bytes: Buffer
    /** Whether the bytes end with what makes the server say that it is ready. */
    readonly synced: boolean
    readonly mayHold: boolean
    /** The server has had messages since its last Sync. */
    readonly dirty?: boolean
    /** Nothing else is undone should the server be asked to stop. */
    readonly alone?: boolean
    readonly before: Run['before']
    readonly columns: Run['columns']
  },
): Promise<Round> {
  await stillGood(host)
  host.abort = new AbortController()
  if (host.client.ended) host.abort.abort(new GatewayError('client-gone'))
  const units = await withResources(host, given, of.dirty !== true)
  const actions = units.map(unit => {
    // Beside the first, only what changes something: that a change reads as well is no action of its own.
    const operations = unit.judgement.operations.filter((each, index) => index === 0 || each.risk !== 'read')
    const masker = host.factsMasker()
    return operations.map(each => new PostgresAction(unit, each, { state: host.state, masker }))
  })
  const round = new Round(actions.flat().length, {
    send() {
      host.forwarded = true
      host.upstream.send(of.bytes)
    },
    begin: fault => Aftermath.begin(host, { fault, synced: of.synced }),
  })
  const exchanges: StatementExchange[] = []
  const runs: Run[] = []
  units.forEach((unit, at) => {
    const { mayHold, before, columns } = of
    const atRest = of.dirty === false
    const run: Run = {
      host,
      round,
      unit,
      mayHold,
      atRest,
      single: units.length === 1,
      alone: of.alone === true,
      before,
      columns,
      profiles: new Set(),
      ended: undefined,
    }
    runs.push(run)
    const own = actions[at]!
    own.forEach((action, place) => {
      const index = exchanges.length
      exchanges.push(
        new StatementExchange(run, action, { index, first: place === 0, last: place === own.length - 1 }),
      )
    })
  })
  host.busy = true
  await Promise.all(exchanges.map(each => perform(host.gateway, host.session, each)))
  host.busy = false
  if (host.forwarded && round.problem !== undefined) await (await round.aftermath()).settle(round.problem)
  host.forwarded = false
  for (const run of runs)
    if (run.ended?.success === true)
      afterStatement(host, run.unit, host.transaction === 'I' && units.length === 1)
  return round
}
