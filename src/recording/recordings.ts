/**
 * Recordings: what passed, masked, encrypted to public keys, kept as blobs that entries name by the hash of their
 * ciphertext. One file key per session, so that a session (or all of a person's) can be made unreadable by deleting
 * its header; see age.ts.
 */
import { createHash, createHmac } from 'node:crypto'
import type { RecordingRef } from '../audit/audit.ts'
import { GatewayError } from '../errors.ts'
import type { RecordLevel } from '../model/decision.ts'
import type { LogStore, StateStore } from '../storage/storage.ts'
import { createHeader, derive, openHeader, openPayload, PayloadSealer } from './age.ts'
import { decodeFrames, encodeFrame, type TimedFrame } from './frames.ts'
import type { RecordingKeys } from './keys.ts'
import type { Frame, Recorder } from './recorder.ts'

/** Ciphertexts up to this size travel with their entry; larger ones are files of their own. */
const inlineLimit = 256 * 1024
const keySpace = 'recording-key'

interface StoredHeader {
  /** The age header, base64. */
  readonly header: string
  readonly createdAt: number
}

export interface Recordings {
  /** A recorder for one action of a session. */
  recorder(sessionId: string, level: RecordLevel): Recorder
  /**
   * The frames behind a reference. Throws `not-found` when the blob or its key is gone (erased or pruned), and
   * `denied` when this gateway holds no identity. The caller writes the `recording.read` entry first (P10).
   */
  read(reference: RecordingRef): Promise<TimedFrame[]>
  /** The age header and payload as one age file, for whoever holds the identity. Throws as `read`. */
  file(reference: RecordingRef): Promise<Buffer>
  /** Forgets the session's key in memory; recordings already made stay readable. */
  forget(sessionId: string): void
}

export class EncryptedRecordings implements Recordings {
  readonly #log: Pick<LogStore, 'readBlob' | 'writeBlob'>
  readonly #state: StateStore
  readonly #keys: RecordingKeys
  readonly #maxBytes: number
  readonly #fileKeys = new Map<string, Promise<Buffer>>()

  constructor(parts: {
    readonly log: Pick<LogStore, 'readBlob' | 'writeBlob'>
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
    if (level === 'none') return silent
    const key = (): Promise<Buffer> => this.#keyOf(sessionId)
    return createRecorder({ key, sessionId, level, log: this.#log, maxBytes: this.#maxBytes })
  }

  async file(reference: RecordingRef): Promise<Buffer> {
    const stored = await this.#state.get<StoredHeader>(keySpace, reference.key)
    const payload = await this.#log.readBlob(reference.blob)
    if (stored === undefined || payload === undefined) {
      throw new GatewayError('not-found', { detail: 'the recording was erased or pruned' })
    }
    return Buffer.concat([Buffer.from(stored.value.header, 'base64'), payload])
  }

  async read(reference: RecordingRef): Promise<TimedFrame[]> {
    const { identity } = this.#keys
    if (identity === undefined) {
      throw new GatewayError('denied', { detail: 'this gateway holds no key that opens recordings' })
    }
    const whole = await this.file(reference)
    const header = whole.subarray(0, whole.length - reference.length)
    const payload = whole.subarray(header.length)
    try {
      const fileKey = openHeader(header, identity)
      const plaintext = openPayload(fileKey, payload)
      const commitment = commit(fileKey, payload.subarray(0, 16)).update(plaintext).digest('hex')
      if (`hmac-sha256:${commitment}` !== reference.commitment) {
        throw new TypeError('the plaintext is not the one committed to')
      }
      return decodeFrames(plaintext)
    } catch (cause) {
      throw new GatewayError('internal', { detail: 'the recording can not be opened', cause })
    }
  }

  forget(sessionId: string): void {
    this.#fileKeys.delete(sessionId)
  }

  #keyOf(sessionId: string): Promise<Buffer> {
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
    throw new GatewayError('internal', { internal: `session ${sessionId} has a recording key already` })
  }
}

/** The keyed commitment: whoever has the file key can prove the plaintext; after erasure it says nothing. */
function commit(fileKey: Buffer, nonce: Buffer) {
  return createHmac('sha256', derive(fileKey, nonce, 'sallyport/commitment'))
}

const silent: Recorder = { write: () => undefined, seal: () => Promise.resolve(undefined) }

interface RecorderParts {
  readonly key: () => Promise<Buffer>
  readonly sessionId: string
  readonly level: RecordLevel
  readonly log: Pick<LogStore, 'writeBlob'>
  readonly maxBytes: number
}

function createRecorder(parts: RecorderParts): Recorder {
  const began = performance.now()
  const frames: Buffer[] = []
  let size = 0
  let complete = true
  // The key is asked for at once, so that it is there by the time the exchange ends.
  const key = parts.key()
  key.catch(() => undefined)

  function write(frame: Frame): void {
    if (parts.level === 'metadata' && frame.part !== 'head') return
    if (!complete || size + frame.bytes.length > parts.maxBytes) {
      complete = false
      return
    }
    size += frame.bytes.length
    frames.push(encodeFrame({ ...frame, at: Math.round((performance.now() - began) * 1000) }))
  }

  return {
    write,
    async seal() {
      const fileKey = await key
      const sealer = new PayloadSealer(fileKey)
      const hmac = commit(fileKey, sealer.nonce)
      const out = [sealer.nonce]
      for (const frame of frames) {
        hmac.update(frame)
        out.push(...sealer.update(frame))
      }
      out.push(sealer.final())
      frames.length = 0
      const bytes = Buffer.concat(out)
      const recording = {
        blob: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
        length: bytes.length,
        commitment: `hmac-sha256:${hmac.digest('hex')}`,
        key: parts.sessionId,
        complete,
      }
      if (bytes.length <= inlineLimit) return { recording, blob: bytes }
      await parts.log.writeBlob({ hash: recording.blob, bytes })
      return { recording }
    },
  }
}
