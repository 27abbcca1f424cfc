/** Server-sent events (WHATWG HTML, section 9.2), both directions, with a cap on one event. */
import { GatewayError } from '../../errors.ts'

export interface SseEvent {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

const empty = Buffer.alloc(0)
/** Room for a line that is kept for the next one, bytes. */
const keptCapacity = 64 * 1024

/** Takes bytes as they come and gives whole events. Holds at most `limit` bytes of one that has not ended. */
export class SseReader {
  readonly #limit: number
  /** The beginning of a line that has not ended: the first `#size` bytes. */
  #pending: Buffer = empty
  #size = 0
  #event = ''
  #data: string[] = []
  #dataSize = 0
  #first = true
  /** The id that a reconnecting client would send, and how long it is told to wait, milliseconds. */
  lastId: string | undefined
  retryMs: number | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Throws `upstream-invalid` for an event over the limit. */
  push(chunk: Buffer): SseEvent[] {
    const events: SseEvent[] = []
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const code = chunk[at]!
      if (code !== 0x0a && code !== 0x0d) continue
      // The second half of CR LF ends an empty rest, which is no line: only a bare LF right after CR.
      if (code === 0x0a && at === from && this.#size === 0 && this.#afterCr) {
        this.#afterCr = false
        from = at + 1
        continue
      }
      this.#afterCr = code === 0x0d
      this.#line(chunk.subarray(from, at), events)
      from = at + 1
    }
    if (from < chunk.length) {
      this.#afterCr = false
      this.#hold(chunk.subarray(from))
    }
    return events
  }

  /** Copied, so that many small parts cost no more than their bytes. */
  #hold(part: Buffer): void {
    const size = this.#size + part.length
    this.#check(size)
    if (size > this.#pending.length) {
      const larger = Buffer.allocUnsafe(Math.max(1024, size * 2))
      this.#pending.copy(larger, 0, 0, this.#size)
      this.#pending = larger
    }
    part.copy(this.#pending, this.#size)
    this.#size = size
  }

  #afterCr = false

  #line(rest: Buffer, events: SseEvent[]): void {
    const bytes = this.#size === 0 ? rest : Buffer.concat([this.#pending.subarray(0, this.#size), rest])
    if (this.#pending.length > keptCapacity) this.#pending = empty
    this.#size = 0
    let line = bytes.toString('utf8')
    if (this.#first) {
      this.#first = false
      if (line.startsWith('\uFEFF')) line = line.slice(1)
    }
    if (line === '') return this.#dispatch(events)
    if (line.startsWith(':')) return
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data') {
      this.#data.push(value)
      // A line without text is one more element too.
      this.#dataSize += Buffer.byteLength(value) + 1
      this.#check(0)
    } else if (name === 'event') this.#event = value
    else if (name === 'id') {
      // One that can't be sent back in a header is none.
      if (/^[\x20-\x7e]{0,1024}$/.test(value)) this.lastId = value === '' ? undefined : value
    } else if (name === 'retry' && /^[0-9]{1,9}$/.test(value)) this.retryMs = Number(value)
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#data.length > 0)
      events.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.lastId })
    this.#event = ''
    this.#data = []
    this.#dataSize = 0
  }

  #check(pending: number): void {
    if (pending + this.#dataSize > this.#limit)
      throw new GatewayError('upstream-invalid', { detail: `a message is over ${this.#limit} bytes` })
  }
}

/** One message as an event. JSON text has no line break, so one `data` line holds it. */
export function sseEvent(data: string, id?: string): string {
  return `event: message\n${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`
}

/** An event without a message: an id to come back with, and how long to wait first, milliseconds (SEP-1699). */
export function ssePriming(id: string): string {
  return `id: ${id}\nretry: ${retryMs}\ndata:\n\n`
}

const retryMs = 1000

export const sseComment = ': keepalive\n\n'
