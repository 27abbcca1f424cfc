/**
 * Records one action: what is small is kept until its end and travels with its entry; what is larger is encrypted
 * chunk by chunk into a file as it passes, so that memory stays bounded however long an answer is (P12).
 */
import { createHmac, createSecretKey, hash as digestOf, type Hmac } from 'node:crypto'
import type { RecordingRef } from '../audit/audit.ts'
import { GatewayError } from '../errors.ts'
import type { RecordLevel } from '../model/decision.ts'
import { type BlobStore, type BlobWriter, StorageFullError } from '../storage/storage.ts'
import { derive, hmac, PayloadSealer } from './age.ts'
import { encodeFrame } from './frames.ts'
import type { Frame, Recorder } from './recorder.ts'

/** Recordings up to this size travel with their entry; larger ones are files of their own. */
export const inlineLimit = 256 * 1024

/** Plaintext that may wait for the disk before writers are asked to wait too. */
const highWater = 512 * 1024

export interface RecorderParts {
  /** The session's file key. */
  readonly key: () => Promise<Buffer>
  readonly sessionId: string
  readonly level: Exclude<RecordLevel, 'none'>
  readonly log: Pick<BlobStore, 'openBlob'>
  readonly maxBytes: number
}

const commitmentInfo = 'sallyport/commitment'

/** The keyed commitment: whoever has the file key can prove the plaintext; after erasure it says nothing. Hex. */
export function commitmentOf(fileKey: Buffer, nonce: Buffer, plaintext: Buffer): string {
  return hmac(derive(fileKey, nonce, commitmentInfo), plaintext).toString('hex')
}

export function createRecorder(parts: RecorderParts): Recorder {
  return parts.maxBytes <= 0 ? nothingRecorded : new EncryptedRecorder(parts)
}

export const nothingRecorded: Recorder = { write: () => undefined, seal: () => Promise.resolve(undefined) }

interface Stream {
  readonly writer: BlobWriter
  readonly sealer: PayloadSealer
  readonly commitment: Hmac
}

class EncryptedRecorder implements Recorder {
  readonly #parts: RecorderParts
  readonly #began = performance.now()
  readonly #key: Promise<Buffer>
  /** Frames that are not encrypted yet. */
  #held: Buffer[] = []
  #heldBytes = 0
  #size = 0
  #complete = true
  /** Set once the recording is too large to travel with its entry. */
  #stream: Promise<Stream> | undefined
  #writing: Promise<void> | undefined
  #failure: unknown

  constructor(parts: RecorderParts) {
    this.#parts = parts
    // The key is asked for at once, so that it is there by the time the exchange ends.
    this.#key = parts.key()
    this.#key.catch(() => undefined)
  }

  write(frame: Frame): void | Promise<void> {
    const { level, maxBytes } = this.#parts
    if (level === 'metadata' && frame.part !== 'head') return
    if (this.#failure !== undefined) return this.#refuse()
    if (!this.#complete || this.#size + frame.bytes.length > maxBytes) {
      this.#complete = false
      return
    }
    this.#size += frame.bytes.length
    const at = Math.round((performance.now() - this.#began) * 1000)
    const encoded = encodeFrame({ ...frame, at })
    this.#held.push(encoded)
    this.#heldBytes += encoded.length
    if (this.#stream === undefined && this.#heldBytes <= inlineLimit) return
    this.#stream ??= this.#open()
    this.#writing ??= this.#drain()
    return this.#heldBytes > highWater ? this.#writing : undefined
  }

  async seal(): Promise<{ readonly recording: RecordingRef; readonly blob?: Buffer } | undefined> {
    if (this.#stream === undefined) return await this.#sealSmall()
    await this.#writing
    // What came between the last turn of the drain and now.
    await this.#drain()
    const { writer, sealer, commitment } = await this.#stream.catch((error: unknown) => {
      throw unavailable(error)
    })
    try {
      if (this.#failure !== undefined) throw this.#failure
      await writer.write(sealer.final())
      const { hash, length } = await writer.finish()
      return { recording: this.#reference({ hash, length, commitment: commitment.digest('hex') }) }
    } catch (error) {
      await writer.abort()
      throw unavailable(error)
    }
  }

  async #sealSmall(): Promise<{ readonly recording: RecordingRef; readonly blob: Buffer }> {
    const fileKey = await this.#key
    const sealer = new PayloadSealer(fileKey)
    const plaintext = Buffer.concat(this.#held, this.#heldBytes)
    this.#held = []
    const blob = Buffer.concat([sealer.nonce, ...sealer.update(plaintext), sealer.final()])
    const hash = `sha256:${digestOf('sha256', blob)}`
    const commitment = hmac(sealer.derive(commitmentInfo), plaintext).toString('hex')
    return { recording: this.#reference({ hash, length: blob.length, commitment }), blob }
  }

  #reference(of: {
    readonly hash: string
    readonly length: number
    readonly commitment: string
  }): RecordingRef {
    return {
      blob: of.hash,
      length: of.length,
      commitment: `hmac-sha256:${of.commitment}`,
      key: this.#parts.sessionId,
      complete: this.#complete,
    }
  }

  async #open(): Promise<Stream> {
    const fileKey = await this.#key
    const writer = await this.#parts.log.openBlob()
    const sealer = new PayloadSealer(fileKey)
    await writer.write(sealer.nonce)
    const key = createSecretKey(sealer.derive(commitmentInfo))
    return { writer, sealer, commitment: createHmac('sha256', key) }
  }

  /** Cuts what is under way, where the writer waits; who does not learns it when the recording is sealed (P6). */
  #refuse(): Promise<void> {
    const refusal = Promise.reject<void>(unavailable(this.#failure))
    refusal.catch(() => undefined)
    return refusal
  }

  /** Encrypts and writes what is held until nothing is. Never rejects. */
  async #drain(): Promise<void> {
    try {
      const { writer, sealer, commitment } = await this.#stream!
      while (this.#held.length > 0 && this.#failure === undefined) {
        const frames = this.#held
        const bytes = this.#heldBytes
        this.#held = []
        for (const frame of frames) {
          commitment.update(frame)
          for (const chunk of sealer.update(frame)) await writer.write(chunk)
        }
        this.#heldBytes -= bytes
      }
    } catch (error) {
      this.#failure ??= error
      this.#held = []
      this.#heldBytes = 0
    } finally {
      this.#writing = undefined
    }
  }
}

function unavailable(cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause
  const internal =
    cause instanceof StorageFullError ? 'no room for a recording' : 'a recording could not be kept'
  return new GatewayError('recording-unavailable', { internal, cause })
}
