/**
 * Calls kept for clients that come back for the answer. Each is encrypted (AES-256-GCM) under a key of this machine in
 * `<data>/keys/deferred-calls.key`, so that the store and its copies alone give no request away; the recordings' keys
 * would not do, since a gateway may be able to write recordings and not to read them.
 */
import { type Approval, isOpen } from '../approvals/approval.ts'
import type { Approvals } from '../approvals/approvals.ts'
import { refusalOfEnded } from '../approvals/refusals.ts'
import { loadSealingKey } from '../credentials/sealing-key.ts'
import { asGatewayError } from '../errors.ts'
import type { Deferrals } from '../gateway/deferrals.ts'
import { subjectKey } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'
import { SealedValues } from './sealed-values.ts'

const space = 'deferred-call'
/** All kept calls together; beyond it clients are told to send the same request again. */
const mostBytes = 256 * 1024 * 1024
const sweepMs = 60_000
/** Clients that poll without waiting are told to come back after this long. */
const retryAfterMs = 5000

export interface DeferralsParts {
  readonly state: StateStore
  readonly approvals: Pick<Approvals, 'get' | 'wait' | 'cancel'>
  /** Where the key is kept; made at first start. */
  readonly keys: string
}

export interface OpenDeferrals extends Deferrals {
  /** What is kept now, bytes. */
  readonly bytes: number
  /** Drops the calls of approvals that are over. By itself every minute. */
  sweep(): Promise<void>
  close(): void
}

/** Takes up what was kept before a restart. */
export async function openDeferrals(parts: DeferralsParts): Promise<OpenDeferrals> {
  const opened = new KeptCalls(parts, await loadSealingKey(parts.keys, 'deferred-calls'))
  await opened.start()
  return opened
}

class KeptCalls implements OpenDeferrals {
  readonly #parts: DeferralsParts
  readonly #values: SealedValues
  /** Bytes by approval, also of those on their way in. */
  readonly #kept = new Map<string, number>()
  readonly #keeping = new Map<string, Promise<void>>()
  #sweeper: NodeJS.Timeout | undefined
  bytes = 0

  constructor(parts: DeferralsParts, key: Buffer) {
    this.#parts = parts
    this.#values = new SealedValues(parts.state, { space, key })
  }

  async start(): Promise<void> {
    for (const [approval, { length }] of await this.#values.takeUp()) this.#count(approval, length)
    await this.sweep()
    this.#sweeper = setInterval(() => void this.sweep().catch(() => undefined), sweepMs)
    this.#sweeper.unref()
  }

  async keep(approval: string, call: Buffer): Promise<boolean> {
    if (!this.#kept.has(approval)) {
      if (this.bytes + call.length > mostBytes) return false
      this.#count(approval, call.length)
      const keeping = this.#write(approval, call).finally(() => this.#keeping.delete(approval))
      this.#keeping.set(approval, keeping)
    }
    await this.#keeping.get(approval)
    return true
  }

  async #write(approval: string, call: Buffer): Promise<void> {
    try {
      await this.#values.write(approval, call, { context: contextOf(approval) })
    } catch (error) {
      this.#uncount(approval)
      throw error
    }
  }

  /** Under another key it can't run, and its client can still send the request again. */
  async find(approval: string): Promise<Buffer | undefined> {
    return await this.#values.read(approval, contextOf(approval))
  }

  async release(approval: string): Promise<void> {
    if (!this.#kept.has(approval) || (await this.#isOpen(approval))) return
    await this.#values.delete(approval)
    this.#uncount(approval)
  }

  async follow(
    asked: Parameters<Deferrals['follow']>[0],
    wait: Parameters<Deferrals['follow']>[1],
  ): ReturnType<Deferrals['follow']> {
    const found = await this.#asked(asked)
    if (found === undefined) return undefined
    const now = await this.#parts.approvals.wait(found, wait.ms, wait.signal)
    const { id, state, expiresAt } = now
    const approval = { id, state, expiresAt, retryAfterMs }
    if (isOpen(now)) return { approval }
    const ended = refusalOfEnded(now)
    return { approval, ...('denial' in ended ? { denial: ended.denial } : {}) }
  }

  async withdraw(asked: Parameters<Deferrals['withdraw']>[0]): Promise<void> {
    const found = await this.#asked(asked)
    if (found === undefined || !isOpen(found)) return
    await this.#parts.approvals.cancel(found.id, 'withdrawn by its requester').catch((error: unknown) => {
      if (asGatewayError(error).code !== 'conflict') throw error
    })
  }

  async #asked(asked: Parameters<Deferrals['withdraw']>[0]): Promise<Approval | undefined> {
    const found = await this.#parts.approvals.get(asked.approval).catch(unlessUnknown)
    if (found === undefined || found.connection !== asked.connection) return undefined
    return found.requesterKey === subjectKey(asked.subject) ? found : undefined
  }

  async sweep(): Promise<void> {
    for (const approval of this.#kept.keys()) await this.release(approval)
  }

  close(): void {
    clearInterval(this.#sweeper)
  }

  async #isOpen(approval: string): Promise<boolean> {
    const found = await this.#parts.approvals.get(approval).catch(unlessUnknown)
    return found !== undefined && isOpen(found)
  }

  #count(approval: string, length: number): void {
    this.#kept.set(approval, length)
    this.bytes += length
  }

  #uncount(approval: string): void {
    this.bytes -= this.#kept.get(approval) ?? 0
    this.#kept.delete(approval)
  }
}

/** Binds what is kept to its approval: moved under another, it does not open. */
function contextOf(approval: string): string {
  return `sallyport deferred call ${approval}`
}

function unlessUnknown(error: unknown): undefined {
  if (asGatewayError(error).code !== 'not-found') throw error
  return undefined
}
