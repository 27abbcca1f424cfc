/**
 * THE PATH. Every action takes it, whatever its protocol, and there is no other way to an upstream. It is a straight
 * function so that the order of a security path is code, not data (docs/adr/0002-a-straight-path.md).
 */
import type { ActionResult, OpenAction } from '../audit/audit.ts'
import { asGatewayError, GatewayError } from '../errors.ts'
import { approve } from './approve.ts'
import { authorize } from './authorize.ts'
import type { Exchange, Unused } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import { guard } from './guard.ts'
import { mask } from './mask.ts'
import { record, type Recording, startRecording } from './record.ts'
import type { Outcome } from './meter.ts'
import type { Session } from './session.ts'

/**
 * Performs one action to its end. Resolves when the client has its answer, refusal or error and the terminal entry is
 * durable; never rejects: what goes wrong is in the log and has been told to the client.
 */
export async function perform(gateway: Gateway, session: Session, exchange: Exchange): Promise<void> {
  const { action } = exchange
  const began = performance.now()
  let outcome = 'failure' as Outcome
  let forwarded = false
  let unused: Unused | undefined
  let passed: Partial<ActionResult> = {}
  let entry: OpenAction
  try {
    entry = await gateway.audit.begin(session, action) // durable intent first: no entry, no action
  } catch (error) {
    return exchange.abort(asGatewayError(error), undefined)
  }
  let recording: Recording | undefined
  session.running.add(exchange)
  session.totals.actions++
  try {
    const decision = authorize(gateway, session, action) // policy: may this subject do this?
    const guarded = guard(gateway, session, { decision, action }) // content: what is inside it?
    recording = startRecording(gateway, session, { exchange, obligations: guarded.decision.obligations })
    const verdict = await approve(gateway, session, { guarded, exchange, entry }) // people, when asked
    if (verdict.effect === 'deny') {
      outcome = 'denied'
      const ended = await entry.deny({ reason: verdict.denial.reason, ...(await recording.refused()) })
      return await exchange.refuse(verdict.denial, ended)
    }
    unused = verdict.unused
    if (verdict.action.obligations.limitRows !== undefined && exchange.limitsRows !== true)
      throw new GatewayError('denied', { detail: 'policy limits rows, which this protocol does not count' })
    if (verdict.action.obligations.recordBefore === true) await exchange.preview?.()
    await using lease = await gateway.credentials.lease(session)
    const reply = await exchange.forward(verdict.action, lease, () => {
      forwarded = true
      entry.forwarding()
    })
    const masked = mask(gateway, { session, reply, lease, obligations: verdict.action.obligations })
    const recorded = record(recording, masked) // nothing below the mask sees raw data
    await exchange.send(recorded, async result => {
      outcome = result.success ? 'success' : 'failure'
      passed = result
      count(session, result)
      return await entry.complete({ ...result, ...(await recording?.seal()) })
    })
  } catch (error) {
    outcome = 'failure'
    const fault = asGatewayError(error)
    // A store that can't be trusted any more takes no ending: the next start closes the intent as unknown (P2).
    passed = exchange.progress()
    const ended = await entry
      .fail(fault, { ...passed, ...(await recording?.salvage()) })
      .catch(() => undefined)
    // In the log first that nothing was forwarded: only then may a person's consent be used again.
    if (!forwarded && ended !== undefined) await unused?.(ended)
    await exchange.abort(fault, ended)
  } finally {
    session.running.delete(exchange)
    if (outcome !== 'success') session.totals[outcome === 'denied' ? 'denied' : 'failed']++
    gateway.meter?.ended(session.connection.name, outcome, (performance.now() - began) / 1000)
    const { bytesIn = 0, bytesOut = 0, rows = 0 } = passed
    const ended = { session, action, outcome, forwarded, bytesIn, bytesOut, rows }
    for (const each of gateway.observers ?? []) each.ended(ended)
  }
}

function count(
  session: Session,
  result: { bytesIn: number; bytesOut: number; masked: { count: number } },
): void {
  session.totals.masked += result.masked.count
  session.totals.bytesIn += result.bytesIn
  session.totals.bytesOut += result.bytesOut
}
