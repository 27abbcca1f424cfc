/**
 * One end of a conversation: a socket read as messages and written in batches. Nothing is read ahead beyond a mark,
 * and who writes waits for the socket to drain (P12).
 */
import type { Duplex } from 'node:stream'
import { FrameReader, type Message } from './codec.ts'

const highWater = 256 * 1024
const batch = 64 * 1024

export class Wire {
  readonly socket: Duplex
  readonly #reader: FrameReader
  #out: Buffer[] = []
  #outSize = 0
  #ended = false
  /** Something came since `take` or `peek` last found nothing: who then waits for a flush must not miss it. */
  #fresh = true
  #wake: (() => void) | undefined
  #onEnd: (() => void) | undefined
  /** Bytes that came and went, all told. */
  bytesIn = 0
  bytesOut = 0

  constructor(socket: Duplex, cap: (type: string) => number, early: Buffer = Buffer.alloc(0)) {
    this.socket = socket
    this.#reader = new FrameReader(cap)
    this.#reader.push(early)
    this.bytesIn = early.length
    socket.on('data', (chunk: Buffer) => {
      this.bytesIn += chunk.length
      this.#reader.push(chunk)
      if (this.#reader.held > highWater) socket.pause()
      this.#signal()
    })
    const end = (): void => {
      if (this.#ended) return
      this.#ended = true
      this.#onEnd?.()
      this.#signal()
    }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
    socket.resume()
  }

  /** No more will come. What came before can still be taken. */
  get ended(): boolean {
    return this.#ended
  }

  /** Calls back once when the far end has gone; at once if it has. */
  onEnd(listener: () => void): void {
    if (this.#ended) listener()
    else this.#onEnd = listener
  }

  /** Whether bytes are here that were not taken. */
  get pending(): boolean {
    return this.#reader.held > 0
  }

  /** The type of the next whole message, if it is here. */
  peek(): string | undefined {
    const found = this.#reader.peek()
    if (found === undefined) this.#fresh = false
    return found
  }

  /** As `flush`, once there is a batch; for streams that go on. */
  flushWhenFull(): void | Promise<void> {
    return this.socket.writableNeedDrain ? this.flush() : undefined
  }

  /** The next message if it is here. Throws FrameError. */
  take(): Message | undefined {
    const found = this.#reader.take()
    if (found === undefined) this.#fresh = false
    // A message larger than the mark needs more than is held.
    if (this.socket.isPaused() && (found === undefined || this.#reader.held < highWater)) this.socket.resume()
    return found
  }

  /** Resolves when something has come since nothing was found, or the far end has gone. One waits at a time. */
  readable(): Promise<void> {
    return new Promise(resolve => this.whenReadable(resolve))
  }

  /** As `readable`, by a call. */
  whenReadable(listener: () => void): void {
    if (this.#ended || this.#fresh) listener()
    else this.#wake = listener
  }

  /** Lets who waits for something to read look again. */
  wake(): void {
    this.#signal()
  }

  /** Queues bytes; they leave at `flush`, or earlier when there are many. */
  send(bytes: Buffer): void {
    this.#out.push(bytes)
    this.#outSize += bytes.length
    if (this.#outSize >= batch) this.#write()
  }

  /** Hands over what is queued; a promise where the socket is behind. */
  flush(): void | Promise<void> {
    this.#write()
    const { socket } = this
    if (!socket.writableNeedDrain || this.#ended) return
    return new Promise(resolve => {
      const done = (): void => {
        socket.off('drain', done)
        socket.off('close', done)
        resolve()
      }
      socket.on('drain', done)
      socket.on('close', done)
    })
  }

  /** Sends what is queued and then ends the stream. */
  end(): void {
    this.#write()
    if (!this.socket.destroyed) this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  #write(): void {
    if (this.#out.length === 0) return
    const bytes = this.#out.length === 1 ? this.#out[0]! : Buffer.concat(this.#out)
    this.#out = []
    this.#outSize = 0
    this.bytesOut += bytes.length
    if (!this.socket.destroyed && this.socket.writable) this.socket.write(bytes)
  }

  #signal(): void {
    this.#fresh = true
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}

/** Resolves when one of them has something. */
export function eitherReadable(one: Wire, other: Wire): Promise<void> {
  return new Promise(resolve => {
    one.whenReadable(resolve)
    other.whenReadable(resolve)
  })
}
