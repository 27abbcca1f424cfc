/** What the server foresees of a statement that waits for a person: its plan and how many rows it expects. */
import type { ActionResult, EntryRef } from '../../audit/audit.ts'
import type { Lease } from '../../credentials/lease.ts'
import type {
  ActionPreview,
  Cleared,
  Exchange,
  MaskedReply,
  Recorded,
  Reply,
  Seal,
} from '../../gateway/exchange.ts'
import { newId } from '../../id.ts'
import type { Masker } from '../../masking/masker.ts'
import type { Action } from '../../model/action.ts'
import type { Recorder } from '../../recording/recorder.ts'
import { performOwn } from '../own-reads.ts'
import { PostgresAction } from './action.ts'
import { estimatesOf, explain, explaining, type Plan } from './explain.ts'
import type { Host } from './host.ts'
import type { Unit } from './unit.ts'

/**
 * The preview of an action; undefined where nothing can be told. Never throws. `masker` is what the statement is
 * masked with; the plan gets the same. The session must be at rest.
 */
export async function previewStatement(
  host: Host,
  of: { readonly action: Action; readonly unit: Unit; readonly masker: Masker },
): Promise<ActionPreview | undefined> {
  const unit = explaining(of.unit)
  if (unit === undefined || host.transaction === 'E') return undefined
  const asking = host.resting(async () => {
    const exchange = new PlanRead(host, { unit, action: of.action })
    await performOwn(host.gateway, { connection: host.session.target, masker: of.masker, exchange })
    return exchange
  })
  try {
    const { plan, entry } = await asking
    return plan === undefined || entry === undefined ? undefined : previewOf(plan, entry)
  } catch {
    // A preview that can't be made is none: the approver still sees the exact statement.
    return undefined
  }
}

function previewOf({ lines, cut, sqlState }: Plan, entry: EntryRef): ActionPreview {
  const foreseen =
    sqlState === undefined
      ? [
          { name: 'Estimated rows', text: estimatesOf(lines).join('; ') },
          { name: 'Plan', text: lines.join('\n') },
        ]
      : [{ name: 'Plan', text: `the server has none (SQLSTATE ${sqlState})` }]
  return { kind: 'run', changes: [], cut, foreseen, readEntry: String(entry.index) }
}

/** The exchange of one EXPLAIN: towards the server on the client's own session, towards nobody on this side. */
class PlanRead implements Exchange {
  readonly action: Action
  readonly signal = new AbortController().signal
  readonly #host: Host
  readonly #unit: Unit
  #plan: Plan | undefined
  #startedAt = 0
  /** Masked; there once it is durable that it was read. */
  plan: Plan | undefined
  entry: EntryRef | undefined

  constructor(host: Host, of: { readonly unit: Unit; readonly action: Action }) {
    this.#host = host
    this.#unit = of.unit
    const operation = of.unit.judgement.operations[0]!
    this.action = new PostgresAction(of.unit, operation, {
      state: host.state,
      masker: host.factsMasker(),
      facts: { purpose: 'preview', preview_of: of.action.id },
    })
  }

  record(recorder: Recorder, masker: Masker): void {
    const head = { method: 'EXPLAIN', target: masker.text(this.#unit.judgement.text), headers: [] }
    void recorder.write({ from: 'client', part: 'head', bytes: Buffer.from(JSON.stringify(head)) })
  }

  async forward(_cleared: Cleared, _lease: Lease, starting: () => void): Promise<Reply> {
    this.#startedAt = performance.now()
    starting()
    this.#plan = await explain(this.#host, this.#unit, newId('preview'))
    return new PlanReply(this.#plan)
  }

  async send({ reply }: Recorded, seal: Seal): Promise<void> {
    if (!(reply instanceof MaskedPlan)) throw new TypeError('a reply of another protocol')
    const { plan } = reply
    this.entry = await seal({
      success: plan.sqlState === undefined,
      facts: { db: plan.sqlState === undefined ? {} : { sqlstate: plan.sqlState } },
      bytesIn: 0,
      bytesOut: plan.lines.reduce((sum, line) => sum + line.length, 0),
      masked: reply.masker.takeReport(),
      upstreamDuration: Math.round((performance.now() - this.#startedAt) * 1e6),
    })
    this.plan = plan
  }

  async refuse(): Promise<void> {}
  async abort(): Promise<void> {}

  progress(): Partial<ActionResult> {
    return {}
  }
}

class PlanReply implements Reply {
  readonly #plan: Plan
  constructor(plan: Plan) {
    this.#plan = plan
  }
  mask(masker: Masker): MaskedReply {
    return new MaskedPlan({ ...this.#plan, lines: this.#plan.lines.map(line => masker.text(line)) }, masker)
  }
}

class MaskedPlan implements MaskedReply {
  readonly plan: Plan
  readonly masker: Masker
  constructor(plan: Plan, masker: Masker) {
    this.plan = plan
    this.masker = masker
  }
  record(recorder: Recorder): void {
    const head = { status: 'columns', headers: ['QUERY PLAN', 'type 25'] }
    void recorder.write({ from: 'upstream', part: 'head', bytes: Buffer.from(JSON.stringify(head)) })
    const text = this.plan.lines.map(line => `${JSON.stringify([line])}\n`).join('')
    void recorder.write({ from: 'upstream', part: 'body', bytes: Buffer.from(text) })
  }
}
