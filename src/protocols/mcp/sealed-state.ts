/**
 * What a client carries for us between two requests, sealed (AES-256-GCM) and bound to who asked and for what: nobody
 * else can use it, on no other request, and not for long. The key outlives a restart, so that a client which waits for
 * a person goes on waiting. What is good once is known to one process alone, and in another it is good for nothing:
 * then policy is asked again.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { codes, RpcError } from './rpc.ts'

/** To whom and to what a state belongs. */
export interface Binding {
  readonly principal: string
  /** The digest of the action. */
  readonly digest: string
}

export interface CarriedState {
  /** The round of waiting for a person. */
  readonly round?: number
  /** The server's own state. */
  readonly upstream?: string
  /** A call that waits for its client's word. */
  readonly parked?: string
  /** A person has approved the call that this continues; good once. */
  readonly cleared?: string
}

const prefix = 'sp1.'
const ttlMs = 15 * 60_000
const mostUsed = 100_000

export class SealedStates {
  readonly #key: Buffer
  readonly #now: () => number
  /** Of this process. */
  readonly #epoch = randomBytes(9).toString('base64url')
  readonly #used = new Map<string, number>()

  /** `key`: 32 bytes; by default one that ends with the process. */
  constructor(key: Buffer = randomBytes(32), now: () => number = Date.now) {
    this.#key = key
    this.#now = now
  }

  seal(state: CarriedState, binding: Binding): string {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(aadOf(binding))
    const text = JSON.stringify({ ...state, expires: this.#now() + ttlMs })
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return prefix + Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
  }

  /** Throws `invalidParams` for a state that is not ours, another's, for another request, or past its time. */
  open(text: string, binding: Binding): CarriedState {
    const bytes = Buffer.from(text.startsWith(prefix) ? text.slice(prefix.length) : '', 'base64url')
    if (bytes.length < 28) throw refused()
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, 12), {
        authTagLength: 16,
      })
      decipher.setAAD(aadOf(binding)).setAuthTag(bytes.subarray(12, 28))
      const plain = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()])
      const state = JSON.parse(plain.toString()) as CarriedState & { expires: number }
      if (state.expires > this.#now()) return state
    } catch {
      // Altered, moved to another request or identity, or sealed with another key.
    }
    throw refused()
  }

  /** A word that `redeem` takes once. */
  clear(): string {
    return `${this.#epoch}.${randomBytes(16).toString('base64url')}`
  }

  /** True the first time. What can't be remembered, or was made by another process, is not redeemed. */
  redeem(word: string): boolean {
    if (!word.startsWith(`${this.#epoch}.`)) return false
    const now = this.#now()
    for (const [each, at] of this.#used) {
      if (now - at < ttlMs) break
      this.#used.delete(each)
    }
    if (this.#used.has(word) || this.#used.size >= mostUsed) return false
    this.#used.set(word, now)
    return true
  }
}

function aadOf({ principal, digest }: Binding): Buffer {
  return Buffer.from(JSON.stringify([principal, digest]))
}

function refused(): RpcError {
  return new RpcError(codes.invalidParams, 'Invalid params: the requestState is not valid here, or no longer')
}
