/**
 * Recordings: what passed, masked, encrypted to public keys, kept as blobs that entries name by the hash of their
 * ciphertext. One file key per session, so that a session (or all of a person's) can be made unreadable by deleting
 * its header; see age.ts.
 */
import type { RecordingRef } from '../audit/audit.ts'
import { GatewayError } from '../errors.ts'
import type { RecordLevel } from '../model/decision.ts'
import type { BlobStore, StateStore } from '../storage/storage.ts'
import { createHeader, openHeader, openPayload } from './age.ts'
import { commitmentOf, createRecorder, nothingRecorded } from './encrypted-recorder.ts'
import { decodeFrames, type TimedFrame } from './frames.ts'
import type { RecordingKeys } from './keys.ts'
import type { Recorder } from './recorder.ts'

const keySpace = 'recording-key'

interface StoredHeader {
  /** The age header, base64. */
  readonly header: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

/** Why a session's recordings can't be read any more: somebody asked for it, or their time had come. */
export type Gone = 'erased' | 'expired'

/** Stands where the header was, so that no other key takes its place. */
interface GoneHeader {
  readonly gone: Gone
  readonly at: number
}

/** A session whose recordings can be read, or could be. */
export interface KeptKey {
  readonly session: string
  /** When the key was made, or when it was destroyed. */
  readonly at: number
  readonly gone?: Gone
}

export interface Recordings {
  /** A recorder for one action of a session. */
  recorder(sessionId: string, level: RecordLevel): Recorder
  /**
   * The frames behind a reference. Throws `not-found` when the blob or its key is gone (erased or pruned), and
   * `denied` when this gateway holds no identity. The caller writes the `recording.read` entry first (P10).
   */
  read(reference: RecordingRef): Promise<TimedFrame[]>
  /**
   * The age header and payload as one age file, for whoever holds the identity: its length in bytes, and its pieces.
   * Throws as `read`.
   */
  file(reference: RecordingRef): Promise<{ readonly length: number; readonly pieces: AsyncIterable<Buffer> }>
  /** Forgets the session's key in memory; recordings already made stay readable. */
  forget(sessionId: string): void
  /**
   * Destroys the session's key: when it resolves, no file of the store holds it, no recording of the session can be
   * read, and the session can make none. False where there was no key.
   */
  erase(sessionId: string, why: Gone): Promise<boolean>
  /** The key of a session; undefined where there never was one. */
  keyOf(sessionId: string): Promise<KeptKey | undefined>
  /** The sessions that have or had a key, in the order of their ids, after `after`. */
  keys(after: string | undefined, limit: number): Promise<KeptKey[]>
  /** Forgets why a session's recordings are gone, when nothing names them any more. */
  clear(sessionId: string): Promise<void>
}

export class EncryptedRecordings implements Recordings {
  readonly #log: BlobStore
  readonly #state: StateStore
  readonly #keys: RecordingKeys
  readonly #maxBytes: number
  readonly #fileKeys = new Map<string, Promise<Buffer>>()

  constructor(parts: {
    readonly log: BlobStore
    readonly state: StateStore
    readonly keys: RecordingKeys
    readonly maxBytes: number
  }) {
    this.#log = parts.log
    this.#state = parts.state
    this.#keys = parts.keys
    this.#maxBytes = parts.maxBytes
  }

  recorder(sessionId: string, level: RecordLevel): Recorder {
    if (level === 'none') return nothingRecorded
    const key = (): Promise<Buffer> => this.#fileKey(sessionId)
    return createRecorder({ key, sessionId, level, log: this.#log, maxBytes: this.#maxBytes })
  }

  async file(reference: RecordingRef): Promise<{ length: number; pieces: AsyncIterable<Buffer> }> {
    const header = await this.#header(reference)
    const payload = await this.#log.streamBlob(reference.blob)
    if (payload === undefined) throw goneError(undefined)
    return { length: header.length + reference.length, pieces: joined(header, payload) }
  }

  async read(reference: RecordingRef): Promise<TimedFrame[]> {
    const { identity } = this.#keys
    if (identity === undefined) {
      throw new GatewayError('denied', { detail: 'this gateway holds no key that opens recordings' })
    }
    const header = await this.#header(reference)
    const payload = await this.#log.readBlob(reference.blob)
    if (payload === undefined) throw goneError(undefined)
    try {
      return openRecording({ header, payload, identity, commitment: reference.commitment })
    } catch (cause) {
      throw new GatewayError('internal', { detail: 'the recording can not be opened', cause })
    }
  }

  forget(sessionId: string): void {
    this.#fileKeys.delete(sessionId)
  }

  async erase(sessionId: string, why: Gone): Promise<boolean> {
    const marker: GoneHeader = { gone: why, at: Date.now() }
    let had = false
    for (;;) {
      // A key that is being made is waited for, or it would outlive its own erasure.
      await this.#fileKeys.get(sessionId)?.catch(() => undefined)
      this.#fileKeys.delete(sessionId)
      const kept = await this.#state.get<StoredHeader | GoneHeader>(keySpace, sessionId)
      if (kept !== undefined && 'gone' in kept.value) return had
      if (kept !== undefined) had = true
      await this.#state.delete(keySpace, sessionId)
      if (await this.#state.put(keySpace, sessionId, marker, 0)) return had
    }
  }

  async keys(after: string | undefined, limit: number): Promise<KeptKey[]> {
    const from = after === undefined ? { limit } : { limit, after }
    const kept = await this.#state.list<StoredHeader | GoneHeader>(keySpace, from)
    return kept.map(({ key, value }) => keptKey(key, value))
  }

  async keyOf(sessionId: string): Promise<KeptKey | undefined> {
    const kept = await this.#state.get<StoredHeader | GoneHeader>(keySpace, sessionId)
    return kept && keptKey(sessionId, kept.value)
  }

  async clear(sessionId: string): Promise<void> {
    const kept = await this.#state.get<StoredHeader | GoneHeader>(keySpace, sessionId)
    if (kept !== undefined && 'gone' in kept.value) await this.#state.delete(keySpace, sessionId)
  }

  async #header(reference: RecordingRef): Promise<Buffer> {
    const stored = await this.#state.get<StoredHeader | GoneHeader>(keySpace, reference.key)
    if (stored === undefined) throw goneError(undefined)
    if ('gone' in stored.value) throw goneError(stored.value)
    return Buffer.from(stored.value.header, 'base64')
  }

  #fileKey(sessionId: string): Promise<Buffer> {
    const known = this.#fileKeys.get(sessionId)
    if (known !== undefined) return known
    const made = this.#makeKey(sessionId)
    this.#fileKeys.set(sessionId, made)
    made.catch(() => this.#fileKeys.delete(sessionId))
    return made
  }

  async #makeKey(sessionId: string): Promise<Buffer> {
    const { fileKey, header } = createHeader(this.#keys.recipients)
    const stored: StoredHeader = { header: header.toString('base64'), createdAt: Date.now() }
    // Durable before any entry names it: a recording whose key was lost would be lost with it.
    if (await this.#state.put(keySpace, sessionId, stored, 0)) return fileKey
    throw new GatewayError('recording-unavailable', {
      internal: `session ${sessionId} has a recording key already, or was erased`,
    })
  }
}

/**
 * The frames of a recording, for whoever holds an identity. Throws TypeError where the identity does not open it, a
 * byte was changed, or the plaintext is not the one that its entry committed to.
 */
export function openRecording(of: {
  readonly header: Buffer
  readonly payload: Buffer
  readonly identity: string
  readonly commitment: string
}): TimedFrame[] {
  const fileKey = openHeader(of.header, of.identity)
  const plaintext = openPayload(fileKey, of.payload)
  const commitment = commitmentOf(fileKey, of.payload.subarray(0, 16), plaintext)
  if (`hmac-sha256:${commitment}` !== of.commitment) {
    throw new TypeError('the plaintext is not the one committed to')
  }
  return decodeFrames(plaintext)
}

/** The two parts of an age file. Throws TypeError for what is none. */
export function splitAgeFile(file: Buffer): { readonly header: Buffer; readonly payload: Buffer } {
  const mac = file.indexOf('\n--- ')
  const end = mac < 0 ? -1 : file.indexOf('\n', mac + 1)
  if (end < 0) throw new TypeError('not an age file')
  return { header: file.subarray(0, end + 1), payload: file.subarray(end + 1) }
}

function keptKey(session: string, value: StoredHeader | GoneHeader): KeptKey {
  return 'gone' in value ? { session, at: value.at, gone: value.gone } : { session, at: value.createdAt }
}

async function* joined(header: Buffer, payload: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield header
  yield* payload
}

function goneError(gone: GoneHeader | undefined): GatewayError {
  if (gone === undefined)
    return new GatewayError('not-found', { detail: 'the recording is not here any more' })
  const day = new Date(gone.at).toISOString().slice(0, 10)
  const detail =
    gone.gone === 'erased'
      ? `the recording was erased on ${day}`
      : `the recording was removed on ${day}: its time of retention had ended`
  return new GatewayError('not-found', { detail })
}
