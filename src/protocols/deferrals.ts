/**
 * Calls kept for clients that come back for the answer. Each is encrypted (AES-256-GCM) under a key of this machine in
 * `<data>/keys/deferred-calls.key`, so that the store and its copies alone give no request away; the recordings' keys
 * would not do, since a gateway may be able to write recordings and not to read them.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { isOpen } from '../approvals/approval.ts'
import type { Approvals } from '../approvals/approvals.ts'
import { refusalOfEnded } from '../approvals/refusals.ts'
import { loadSealingKey } from '../credentials/sealing-key.ts'
import { asGatewayError } from '../errors.ts'
import type { Deferrals } from '../gateway/deferrals.ts'
import { subjectKey } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'

const space = 'deferred-call'
/** A value of the store is at most 1 MiB of JSON. */
const pieceLength = 512 * 1024
/** All kept calls together; beyond it clients are told to send the same request again. */
const mostBytes = 256 * 1024 * 1024
const sweepMs = 60_000
const pageSize = 500
/** Clients that poll without waiting are told to come back after this long. */
const retryAfterMs = 5000

interface Kept {
  readonly nonce: string
  readonly tag: string
  readonly length: number
  readonly pieces: number
}

export interface DeferralsParts {
  readonly state: StateStore
  readonly approvals: Pick<Approvals, 'get' | 'wait'>
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
  readonly #key: Buffer
  /** Bytes by approval, also of those on their way in. */
  readonly #kept = new Map<string, number>()
  readonly #keeping = new Map<string, Promise<void>>()
  #sweeper: NodeJS.Timeout | undefined
  bytes = 0

  constructor(parts: DeferralsParts, key: Buffer) {
    this.#parts = parts
    this.#key = key
  }

  async start(): Promise<void> {
    const { state } = this.#parts
    const orphans: string[] = []
    for (let after: string | undefined; ; ) {
      const page = await state.list<Partial<Kept>>(space, { limit: pageSize, ...(after && { after }) })
      for (const { key, value } of page) {
        if (!key.includes('/')) this.#count(key, value.length ?? 0)
        else if (!this.#kept.has(key.slice(0, key.indexOf('/')))) orphans.push(key)
      }
      after = page.at(-1)?.key
      if (page.length < pageSize) break
    }
    for (const key of orphans) await state.delete(space, key)
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
    const { state } = this.#parts
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(contextOf(approval))
    const sealed = Buffer.concat([cipher.update(call), cipher.final()])
    try {
      let pieces = 0
      for (let at = 0; at < sealed.length; at += pieceLength) {
        const piece = sealed.toString('base64', at, at + pieceLength)
        await state.put(space, pieceKey(approval, nonce, pieces++), piece, 0)
      }
      const tag = cipher.getAuthTag().toString('base64')
      const kept: Kept = { nonce: nonce.toString('base64'), tag, length: call.length, pieces }
      await state.put(space, approval, kept, 0)
    } catch (error) {
      this.#uncount(approval)
      throw error
    }
  }

  async find(approval: string): Promise<Buffer | undefined> {
    const { state } = this.#parts
    const found = await state.get<Kept>(space, approval)
    if (found === undefined) return undefined
    const { nonce, tag, pieces } = found.value
    try {
      const bytes = Buffer.from(nonce, 'base64')
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes, { authTagLength: 16 })
        .setAAD(contextOf(approval))
        .setAuthTag(Buffer.from(tag, 'base64'))
      const plain: Buffer[] = []
      for (let i = 0; i < pieces; i++) {
        const piece = await state.get<string>(space, pieceKey(approval, bytes, i))
        if (piece === undefined) return undefined
        plain.push(decipher.update(piece.value, 'base64'))
      }
      plain.push(decipher.final())
      return Buffer.concat(plain)
    } catch {
      // Another key, or altered bytes: it can't run, and its client can still send the request again.
      return undefined
    }
  }

  async release(approval: string): Promise<void> {
    if (!this.#kept.has(approval) || (await this.#isOpen(approval))) return
    const { state } = this.#parts
    const found = await state.get<Kept>(space, approval)
    await state.delete(space, approval)
    if (found !== undefined) {
      const nonce = Buffer.from(found.value.nonce, 'base64')
      for (let i = 0; i < found.value.pieces; i++) await state.delete(space, pieceKey(approval, nonce, i))
    }
    this.#uncount(approval)
  }

  async follow(
    asked: Parameters<Deferrals['follow']>[0],
    wait: Parameters<Deferrals['follow']>[1],
  ): ReturnType<Deferrals['follow']> {
    const { approvals } = this.#parts
    const found = await approvals.get(asked.approval).catch(unlessUnknown)
    if (found === undefined) return undefined
    if (found.requesterKey !== subjectKey(asked.subject) || found.connection !== asked.connection)
      return undefined
    const now = await approvals.wait(found, wait.ms, wait.signal)
    const { id, state, expiresAt } = now
    const approval = { id, state, expiresAt, retryAfterMs }
    if (isOpen(now)) return { approval }
    const ended = refusalOfEnded(now)
    return { approval, ...('denial' in ended ? { denial: ended.denial } : {}) }
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
function contextOf(approval: string): Buffer {
  return Buffer.from(`sallyport deferred call ${approval}`)
}

/** With the nonce, so that what an interrupted try left is never taken for part of the next. */
function pieceKey(approval: string, nonce: Buffer, index: number): string {
  return `${approval}/${nonce.toString('hex')}/${index}`
}

function unlessUnknown(error: unknown): undefined {
  if (asGatewayError(error).code !== 'not-found') throw error
  return undefined
}
