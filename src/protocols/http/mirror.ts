/** The request's body on its way into the recording, masked, beside the same bytes on their way upstream. */
import type { Masker } from '../../masking/masker.ts'
import type { Recorder } from '../../recording/recorder.ts'

/** Bytes that may wait for the mask. */
const highWater = 256 * 1024

export interface Mirror {
  /** A promise where the recording is behind and the writer should wait. */
  write(chunk: Buffer): void | Promise<void>
  /** Resolves when all that was written is in the recorder; throws what masking threw. */
  end(): Promise<void>
}

/** Throws `mask-unable` at once where the head already tells that the body can't be masked. */
export function mirror(
  recorder: Recorder,
  masker: Masker,
  meta: { readonly type: string | undefined; readonly encodings: readonly string[] },
): Mirror {
  const record = (bytes: Buffer): void | Promise<void> =>
    recorder.write({ from: 'client', part: 'body', bytes })
  if (masker.idle) return { write: record, end: () => Promise.resolve() }
  const waiting: Buffer[] = []
  let size = 0
  let room: (() => void) | undefined
  let ended = false
  let wake: (() => void) | undefined
  async function* pieces(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const next = waiting.shift()
      if (next !== undefined) {
        size -= next.length
        if (size < highWater) room?.()
        yield next
      } else if (ended) return
      else await new Promise<void>(resolve => (wake = resolve))
    }
  }
  const masked = masker.body(pieces(), meta)
  const done = (async () => {
    for await (const bytes of masked.body) await record(bytes)
  })()
  // Told by `end`; a writer that waits for room must not wait for what failed.
  done.catch(() => {}).finally(() => room?.())
  const notify = (): void => {
    wake?.()
    wake = undefined
  }
  return {
    write(chunk) {
      waiting.push(chunk)
      size += chunk.length
      notify()
      return size < highWater ? undefined : new Promise(resolve => (room = resolve))
    },
    end() {
      ended = true
      notify()
      return done
    },
  }
}
