import type { RecordingRef } from '../audit/audit.ts'

/** One piece of an exchange as it was seen on the client's side, already masked. */
export interface Frame {
  /** Who spoke. */
  readonly from: 'client' | 'upstream'
  /** `head`: JSON that describes what follows; `body`: raw bytes; `message`: one whole message of a stream. */
  readonly part: 'head' | 'body' | 'message'
  readonly bytes: Buffer
}

/**
 * Takes the masked bytes of one action. Bounded: past the connection's limit it drops bytes and the reference says
 * `complete: false`, while the exchange goes on (the limit is policy, not a fault).
 */
export interface Recorder {
  /** A promise where the writer should wait for it before it goes on: the recording is behind (back-pressure). */
  write(frame: Frame): void | Promise<void>
  /**
   * Seals the recording. Small ones come back as `blob`, to be made durable with the entry; larger ones are durable
   * when this resolves. Undefined where nothing is recorded.
   */
  seal(): Promise<{ readonly recording: RecordingRef; readonly blob?: Buffer } | undefined>
}
