/**
 * Values of any size in the state store, encrypted (AES-256-GCM) under a key of this machine and each bound to its
 * context, so that the store and its copies alone give nothing away and nothing opens in another's place.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { StateStore } from '../storage/storage.ts'

/** A value of the store is at most 1 MiB of JSON. */
const pieceLength = 512 * 1024
const pageSize = 500

/** What is kept in the clear of each value. */
export interface SealedHead {
  readonly nonce: string
  readonly tag: string
  /** Of the plain bytes. */
  readonly length: number
  readonly pieces: number
  /** Milliseconds since the epoch; absent where nothing but its keeper says when it is over. */
  readonly until?: number
  /** Of whom there is a bound by number or size. */
  readonly owner?: string
}

export class SealedValues {
  readonly #state: StateStore
  readonly #space: string
  readonly #key: Buffer

  constructor(state: StateStore, of: { readonly space: string; readonly key: Buffer }) {
    this.#state = state
    this.#space = of.space
    this.#key = of.key
  }

  /**
   * All that are kept, and drops what interrupted writes have left. Only before anything is written: what is on its way
   * in looks the same.
   */
  async takeUp(): Promise<Map<string, SealedHead>> {
    const heads = new Map<string, SealedHead>()
    const pieces: string[] = []
    for (let after: string | undefined; ; ) {
      const page = await this.#state.list<SealedHead>(this.#space, {
        limit: pageSize,
        ...(after && { after }),
      })
      for (const { key, value } of page) {
        if (key.includes('/')) pieces.push(key)
        else heads.set(key, value)
      }
      after = page.at(-1)?.key
      if (page.length < pageSize) break
    }
    for (const key of pieces) {
      const [id = '', nonce] = key.split('/')
      const head = heads.get(id)
      if (head === undefined || hexOf(head) !== nonce) await this.#state.delete(this.#space, key)
    }
    return heads
  }

  /** Durable when it resolves, in the place of what was kept under this id. One write of an id at a time. */
  async write(
    id: string,
    value: Buffer,
    of: { readonly context: string } & Pick<SealedHead, 'until' | 'owner'>,
  ): Promise<void> {
    const { context, ...shown } = of
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(context))
    const sealed = Buffer.concat([cipher.update(value), cipher.final()])
    let pieces = 0
    for (let at = 0; at < sealed.length; at += pieceLength) {
      const piece = sealed.toString('base64', at, at + pieceLength)
      await this.#state.put(this.#space, pieceKey(id, nonce.toString('hex'), pieces++), piece, 0)
    }
    const before = await this.#state.get<SealedHead>(this.#space, id)
    const head: SealedHead = {
      nonce: nonce.toString('base64'),
      tag: cipher.getAuthTag().toString('base64'),
      length: value.length,
      pieces,
      ...shown,
    }
    await this.#state.put(this.#space, id, head, before?.version ?? 0)
    if (before !== undefined) await this.#drop(id, before.value)
  }

  /** Undefined where there is none, or none that opens with this key and in this context. */
  async read(id: string, context: string): Promise<Buffer | undefined> {
    const found = await this.#state.get<SealedHead>(this.#space, id)
    if (found === undefined) return undefined
    const { nonce, tag, pieces } = found.value
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, Buffer.from(nonce, 'base64'), {
        authTagLength: 16,
      })
        .setAAD(Buffer.from(context))
        .setAuthTag(Buffer.from(tag, 'base64'))
      const plain: Buffer[] = []
      for (let i = 0; i < pieces; i++) {
        const piece = await this.#state.get<string>(this.#space, pieceKey(id, hexOf(found.value), i))
        if (piece === undefined) return undefined
        plain.push(decipher.update(piece.value, 'base64'))
      }
      plain.push(decipher.final())
      return Buffer.concat(plain)
    } catch {
      // Another key or context, or altered bytes: it can't be used.
      return undefined
    }
  }

  async delete(id: string): Promise<void> {
    const found = await this.#state.get<SealedHead>(this.#space, id)
    await this.#state.delete(this.#space, id)
    if (found !== undefined) await this.#drop(id, found.value)
  }

  async #drop(id: string, head: SealedHead): Promise<void> {
    for (let i = 0; i < head.pieces; i++) await this.#state.delete(this.#space, pieceKey(id, hexOf(head), i))
  }
}

function hexOf({ nonce }: SealedHead): string {
  return Buffer.from(nonce, 'base64').toString('hex')
}

/** With the nonce, so that what an interrupted try left is never taken for part of the next. */
function pieceKey(id: string, nonce: string, index: number): string {
  return `${id}/${nonce}/${index}`
}
