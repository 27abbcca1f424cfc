import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { SendResult, Sink, SinkEvent } from '../sink.ts'
import { lineOf, stubLine } from './ndjson.ts'

export interface FileSinkOptions {
  readonly name: string
  readonly path: string
  /** Bytes at which the file is renamed and a new one begun. */
  readonly rotateAt: number
}

const newline = Buffer.from('\n')

/**
 * Writes entries as NDJSON, each line the exact bytes that the log hashed. A batch counts once it is synced. A line that
 * a crash cut short is removed at the next opening, so that every line of the file is whole.
 */
export function createFileSink(options: FileSinkOptions): Sink {
  const file = new LineFile(options)
  return {
    name: options.name,
    type: 'file',
    limits: { maxEvents: 1000, maxBytes: 4 * 1024 ** 2, maxEventBytes: 1024 ** 2 },
    encode: lineOf,
    stub: stubLine,
    send: batch => file.append(batch),
    close: () => file.close(),
  }
}

/** The open file and how much of it is good. Appends wait for each other: a backfill may run beside the follower. */
class LineFile {
  readonly #options: FileSinkOptions
  #handle: FileHandle | undefined
  #length = 0
  #rotations = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: FileSinkOptions) {
    this.#options = options
  }

  append(batch: readonly SinkEvent[]): Promise<SendResult> {
    const done = this.#last.then(() => this.#append(batch))
    this.#last = done
    return done
  }

  async close(): Promise<void> {
    await this.#last
    await this.#handle?.close()
    this.#handle = undefined
  }

  /** Never rejects. After a fault the file is opened anew, which also cuts off what a failed write left. */
  async #append(batch: readonly SinkEvent[]): Promise<SendResult> {
    try {
      this.#handle ??= await this.#open()
      if (this.#length >= this.#options.rotateAt) await this.#rotate()
      const bytes = Buffer.concat(batch.flatMap(({ body }) => [body, newline]))
      for (let written = 0; written < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(
          bytes,
          written,
          bytes.length - written,
          this.#length + written,
        )
        written += bytesWritten
      }
      await this.#handle.datasync()
      this.#length += bytes.length
      return { result: 'accepted' }
    } catch (error) {
      const handle = this.#handle
      this.#handle = undefined
      await handle?.truncate(this.#length).catch(() => undefined)
      await handle?.close().catch(() => undefined)
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown fault'
      return { result: 'retry', detail: `file: ${code}` }
    }
  }

  async #open(): Promise<FileHandle> {
    // Not append mode: every write names its place, so that a repeated write overwrites what a failed one left.
    const handle = await open(this.#options.path, 'r+', 0o600).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
        return this.#create()
      }
      throw error
    })
    this.#length = await endOfLastLine(handle)
    await handle.truncate(this.#length)
    return handle
  }

  /** The name is made durable too, or a power failure could take a file whose content was synced. */
  async #create(): Promise<FileHandle> {
    const handle = await open(this.#options.path, 'wx+', 0o600)
    const directory = await open(dirname(this.#options.path), 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
    return handle
  }

  /** Names sort by time; the counter keeps two within a millisecond apart, since a rename would replace silently. */
  async #rotate(): Promise<void> {
    const { path } = this.#options
    await this.#handle?.close()
    this.#handle = undefined
    const time = new Date().toISOString().replaceAll(':', '-')
    await rename(path, `${path}.${time}.${process.pid}-${String(this.#rotations++).padStart(6, '0')}`)
    this.#handle = await this.#open()
  }
}

/** Length up to and including the last line feed. */
async function endOfLastLine(handle: FileHandle): Promise<number> {
  const chunk = Buffer.alloc(65_536)
  let end = (await handle.stat()).size
  while (end > 0) {
    const start = Math.max(0, end - chunk.length)
    const { bytesRead } = await handle.read(chunk, 0, end - start, start)
    const at = chunk.subarray(0, bytesRead).lastIndexOf(0x0a)
    if (at >= 0) return start + at + 1
    end = start
  }
  return 0
}
