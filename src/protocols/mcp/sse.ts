/** Server-sent events (WHATWG HTML, section 9.2), both directions, with a cap on one event. */
import { GatewayError } from '../../errors.ts'

export interface SseEvent {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

/** Takes bytes as they come and gives whole events. Holds at most `limit` bytes of one that has not ended. */
export class SseReader {
  readonly #limit: number
  #pending: Buffer[] = []
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
      this.#pending.push(chunk.subarray(from))
      this.#size += chunk.length - from
      this.#check()
    }
    return events
  }

  #afterCr = false

  #line(rest: Buffer, events: SseEvent[]): void {
    const bytes = this.#pending.length === 0 ? rest : Buffer.concat([...this.#pending, rest])
    this.#pending = []
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
      this.#dataSize += value.length
      this.#check()
    } else if (name === 'event') this.#event = value
    else if (name === 'id') {
      if (!value.includes('\0')) this.lastId = value
    } else if (name === 'retry' && /^[0-9]{1,9}$/.test(value)) this.retryMs = Number(value)
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#data.length > 0)
      events.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.lastId })
    this.#event = ''
    this.#data = []
    this.#dataSize = 0
  }

  #check(): void {
    if (this.#size + this.#dataSize > this.#limit)
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
