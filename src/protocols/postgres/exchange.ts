/** One action of a statement and its part of the answer, as the path drives them. */
import type { ActionResult, EntryRef } from '../../audit/audit.ts'
import type { Lease } from '../../credentials/lease.ts'
import { asGatewayError, GatewayError } from '../../errors.ts'
import { type Effect, type RowLimit, strictestRows } from '../../model/decision.ts'
import type {
  ActionPreview,
  Cleared,
  Denial,
  Exchange,
  MaskedReply,
  Patience,
  Recorded,
  Reply,
  Seal,
} from '../../gateway/exchange.ts'
import type { Masker, MaskReport } from '../../masking/masker.ts'
import type { Recorder } from '../../recording/recorder.ts'
import { type PostgresAction, valuesOf } from './action.ts'
import { notRun } from './aftermath.ts'
import { Answer, type Ended } from './answer.ts'
import type { Host } from './host.ts'
import { StatementMask } from './masks.ts'
import type { Column, Report } from './messages.ts'
import { previewStatement } from './preview.ts'
import { denied, faulted, sqlStates } from './refusal.ts'
import { RowLimiter } from './row-limit.ts'
import type { Round } from './round.ts'
import type { Unit } from './unit.ts'

/** How often a client whose statement is held hears that it still is, milliseconds. */
const noticeEvery = 15_000

/** A statement in its round, shared by its actions. */
export interface Run {
  readonly host: Host
  readonly round: Round
  readonly unit: Unit
  /** False where others would wait with it: in a transaction, or amid a pipeline. */
  readonly mayHold: boolean
  /** The server has nothing of the client's that it has yet to answer. */
  readonly atRest: boolean
  /** Called before the rows: answers to messages that were sent along. True: one of them was an error, in `ended`. */
  readonly before: (masker: Masker) => Promise<Ended | undefined>
  readonly columns: () => readonly Column[] | undefined
  /** What the server's messages are masked with before anything is sent; union of what all its actions demand. */
  readonly profiles: Set<string>
  /** No other statement goes with it; and none before it waits for its end to be kept. */
  readonly single: boolean
  readonly alone: boolean
  /** The strictest that its actions demand. */
  limit?: RowLimit
  ended: Ended | undefined
  /** Amid its answer. */
  fault?: GatewayError
}

export class StatementExchange implements Exchange {
  readonly action: PostgresAction
  readonly limitsRows = true
  /** Present where this statement may wait for a person. */
  readonly patience?: Patience
  readonly #run: Run
  readonly #index: number
  /** The first of a statement's actions reads the answer, the last of them hands over its end. */
  readonly #place: { readonly first: boolean; readonly last: boolean }
  #mask: StatementMask | undefined
  #answer: Answer | undefined
  #masker: Masker | undefined
  #demands: { readonly lease: Lease; readonly own: number } | undefined
  #recordRows = 0
  #requestMasker: Masker | undefined
  #startedAt = 0
  #bytesIn = 0
  #notices: NodeJS.Timeout | undefined

  constructor(
    run: Run,
    action: PostgresAction,
    at: { readonly index: number; readonly first: boolean; readonly last: boolean },
  ) {
    this.#run = run
    this.action = action
    this.#index = at.index
    this.#place = at
    const { hold } = run.host.settings
    if (run.mayHold && hold > 0 && run.unit.problem === undefined)
      this.patience = { holdMs: hold, then: 'resubmit' }
  }

  get signal(): AbortSignal {
    const { host, round } = this.#run
    return round.signalWith(host.abort.signal)
  }

  async decided(effect: Effect): Promise<void> {
    const { round, unit } = this.#run
    round.decide(effect === 'deny' || unit.problem !== undefined)
    if (effect !== 'ask') return
    if (unit.problem !== undefined) throw new GatewayError('denied', { detail: unit.problem.message })
    await round.allDecided()
  }

  record(recorder: Recorder, masker: Masker): void {
    this.#requestMasker = masker
    const { judgement } = this.#run.unit
    const values = valuesOf(this.#run.unit)
    const head = {
      method: this.action.operation,
      target: masker.text(judgement.text),
      headers: values.flatMap((value, index) => [
        `$${index + 1}`,
        value === null ? 'NULL' : masker.text(value),
      ]),
    }
    void recorder.write({ from: 'client', part: 'head', bytes: Buffer.from(JSON.stringify(head)) })
  }

  async preview(): Promise<ActionPreview | undefined> {
    const { host, unit, atRest } = this.#run
    const masker = this.#requestMasker
    if (!atRest || masker === undefined) return undefined
    return await previewStatement(host, { action: this.action, unit, masker })
  }

  async forward(cleared: Cleared, lease: Lease, starting: () => void): Promise<Reply> {
    this.#quiet()
    const { host, unit, round, profiles } = this.#run
    if (unit.problem !== undefined) throw new GatewayError('denied', { detail: unit.problem.message })
    const { mask, maskRequest, record, recordRows = Infinity, limitRows } = cleared.obligations
    const { recorded_rows: most = Infinity } = host.settings.limits
    this.#recordRows = record === 'full' ? Math.min(recordRows, most) : 0
    for (const each of mask) profiles.add(each)
    if (limitRows !== undefined) this.#limit(limitRows)
    this.#demands = { lease, own: new Set(mask).size }
    host.remember(mask)
    this.#mask = new StatementMask({
      host,
      unit,
      profiles: mask,
      secrets: Object.values(lease.secrets),
      lease,
    })
    await this.#mask.check(maskRequest)
    await round.clear(() => {
      this.#startedAt = performance.now()
      starting()
    })
    return new StatementReply()
  }

  async send({ reply, recorder }: Recorded, seal: Seal): Promise<void> {
    if (!(reply instanceof MaskedStatementReply)) throw new TypeError('a reply of another protocol')
    const { host, round } = this.#run
    this.#masker = reply.masker
    await round.turn(this.#index)
    const heard = round.problem === undefined
    if (!heard) await this.#drop()
    else if (this.#place.first) this.#run.ended = await this.#readOrBreak(reply.masker, recorder)
    const ended = this.#run.ended ?? notRun
    await seal(this.#result(ended, heard))
    if (heard && this.#place.last && ended !== notRun) host.client.send(ended.last)
    round.done(this.#index)
  }

  async refuse(denial: Denial, entry: EntryRef): Promise<void> {
    this.#fail(this.#cancelled() ?? denied(denial, entry.id), new GatewayError('denied'), entry)
  }

  async abort(error: GatewayError, entry: EntryRef | undefined): Promise<void> {
    this.#fail(this.#cancelled() ?? faulted(error, entry?.id), error, entry)
  }

  held(approval: { readonly id: string; readonly expiresAt: number }): void {
    const tell = (): void =>
      this.#run.host.notice({
        severity: 'NOTICE',
        code: '00000',
        message: `held for approval ${approval.id}`,
        hint: `It waits for a person until ${new Date(approval.expiresAt).toISOString()}. Cancel the statement to stop waiting.`,
      })
    tell()
    this.#notices = setInterval(tell, noticeEvery)
  }

  progress(): Partial<ActionResult> {
    if (this.#startedAt === 0) return {}
    const rows = this.#answer?.rows ?? 0
    const { ended } = this.#run
    return {
      bytesOut: this.#bytesIn,
      rows,
      // What the server made of it counts for who reads this later, also where the client was told of a fault.
      facts: { db: { ...(ended === undefined ? {} : endFacts(ended)), row_count: rows } },
      masked: this.#report(),
      upstreamDuration: this.#duration(),
    }
  }

  #limit(limit: RowLimit): void {
    const run = this.#run
    // An error for this one would be told of all, and those that change something may be done by then.
    if (limit.beyond === 'refuse' && !run.single)
      throw new GatewayError('denied', {
        detail: 'policy limits the rows of this statement: send it alone, not in a string with others',
      })
    run.limit = run.limit === undefined ? limit : strictestRows(run.limit, limit)
  }

  #limiter(): RowLimiter | undefined {
    const { limit, unit } = this.#run
    if (limit === undefined) return undefined
    return new RowLimiter(limit, unit.passed ?? { rows: 0 }, unit.judgement.risk !== 'read')
  }

  /** After a fault amid the answer, reads on to what became of the statement, for its entry. */
  async #readOrBreak(masker: Masker, recorder: Recorder): Promise<Ended> {
    const run = this.#run
    try {
      return await this.#read(masker, recorder)
    } catch (error) {
      run.fault = asGatewayError(error)
      run.ended = await (await run.round.aftermath(run.fault)).next()
      throw run.fault
    } finally {
      run.host.conceals = undefined
    }
  }

  /** What went wrong did so after all was sent: what the server did with this statement is true all the same. */
  async #drop(): Promise<void> {
    const run = this.#run
    if (run.fault !== undefined) throw run.fault
    if (!this.#place.first) return
    run.ended = await (await run.round.aftermath()).next()
    if (run.ended !== undefined) return
    const detail = 'the answer broke off before this statement had its part: whether it ran is not known'
    run.fault = new GatewayError('upstream-invalid', { detail })
    throw run.fault
  }

  async #read(masker: Masker, recorder: Recorder): Promise<Ended> {
    const { host, unit, before, columns } = this.#run
    if (this.#run.round.stopped) return notRun
    const began = host.upstream.bytesIn
    const mask = this.#maskOfAll(masker)
    host.conceals = await mask.conceals()
    const failed = await before(masker)
    this.#answer = new Answer({
      host,
      unit,
      masker: this.#masker!,
      recorder,
      recordRows: this.#recordRows,
      mask,
      columns: columns(),
      limiter: this.#limiter(),
      mayStop: this.#run.alone && unit.judgement.risk === 'read',
    })
    const ended = failed ?? (await this.#answer.run())
    this.#bytesIn = host.upstream.bytesIn - began
    if (!ended.success) this.#run.round.stopped = true
    return ended
  }

  /** What any of the statement's actions demands holds for its one answer. */
  #maskOfAll(given: Masker): StatementMask {
    const { host, unit, profiles } = this.#run
    const { lease, own } = this.#demands!
    let mask = this.#mask!
    if (profiles.size > own) {
      const all = [...profiles]
      this.#masker = host.gateway.masker(all, host.session.target, lease)
      mask = new StatementMask({ host, unit, profiles: all, secrets: Object.values(lease.secrets), lease })
      this.#mask = mask
    }
    mask.masker = this.#masker ?? given
    return mask
  }

  #result(ended: Ended, heard: boolean): Omit<ActionResult, 'recording' | 'blob'> {
    const { bind, judgement } = this.#run.unit
    const values = bind?.values.reduce((sum, value) => sum + (value?.length ?? 0), 0) ?? 0
    return {
      success: ended.success,
      facts: { db: { ...endFacts(ended), ...(heard || ended === notRun ? {} : { withheld: true }) } },
      bytesIn: Buffer.byteLength(judgement.text) + values,
      bytesOut: this.#bytesIn,
      rows: ended.rows,
      masked: this.#report(),
      upstreamDuration: this.#duration(),
    }
  }

  #report(): MaskReport {
    const given = this.#masker?.takeReport() ?? { count: 0, kinds: [] }
    const own = this.#mask?.report() ?? given
    return { count: given.count + own.count, kinds: [...new Set([...given.kinds, ...own.kinds])].toSorted() }
  }

  #duration(): number {
    return Math.round((performance.now() - this.#startedAt) * 1e6)
  }

  #fail(report: Report, fault: GatewayError, entry: EntryRef | undefined): void {
    this.#quiet()
    const { problem } = this.#run.unit
    // What does not parse is told as the server would tell it; its entry is found by the session.
    const plain = entry === undefined || problem?.code === sqlStates.syntax
    const hint = plain ? {} : { hint: `entry ${entry.id}.` }
    this.#run.round.fail(problem === undefined ? report : { severity: 'ERROR', ...problem, ...hint }, fault)
    this.#run.round.done(this.#index)
  }

  #cancelled(): Report | undefined {
    return this.signal.reason === cancelled
      ? { severity: 'ERROR', code: '57014', message: 'canceling statement due to user request' }
      : undefined
  }

  #quiet(): void {
    clearInterval(this.#notices)
    this.#notices = undefined
  }
}

/** Why a held statement ends when its client sends a cancel request. */
export const cancelled = new GatewayError('client-gone', { detail: 'cancelled by the client' })

function endFacts({ rows, tag, cutAt, sqlState, ...ended }: Ended): Readonly<Record<string, unknown>> {
  return {
    ...(ended.type === notRun.type ? { not_run: true } : { row_count: rows }),
    ...(tag === undefined ? {} : { tag }),
    ...(cutAt === undefined ? {} : { cut_at: cutAt }),
    ...(sqlState === undefined ? {} : { sqlstate: sqlState }),
  }
}

class StatementReply implements Reply {
  mask(masker: Masker): MaskedReply {
    return new MaskedStatementReply(masker)
  }
}

class MaskedStatementReply implements MaskedReply {
  readonly masker: Masker
  constructor(masker: Masker) {
    this.masker = masker
  }
  /** The rows are recorded as they pass; see `Answer`. */
  record(_recorder: Recorder): void {}
}
