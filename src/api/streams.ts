/** Server-sent events: bounded in number, at the pace of the reader, with a sign of life while nothing happens. */
import { GatewayError } from '../errors.ts'
import { subjectKey } from '../model/subject.ts'
import { readFacts, type EntryFacts } from '../storage/entry-facts.ts'
import type { Call } from './route.ts'

const keepAliveMs = 15_000
const mostStreams = 500
const mostOfOne = 20

type AnyCall = Call<unknown, unknown, unknown>

const open = new Map<string, number>()
let total = 0

/**
 * Runs a stream. Throws `too-many-requests` where the caller, or all together, have as many as they may; the count ends
 * with `run`.
 */
export async function streaming(call: AnyCall, run: (events: Events) => Promise<void>): Promise<void> {
  const key = subjectKey(call.caller.subject)
  const own = open.get(key) ?? 0
  if (own >= mostOfOne || total >= mostStreams)
    throw new GatewayError('too-many-requests', { detail: `at most ${mostOfOne} streams each` })
  open.set(key, own + 1)
  total++
  try {
    call.response.setHeader('content-type', 'text/event-stream')
    call.response.setHeader('x-accel-buffering', 'no')
    await run(new Events(call))
    call.response.end()
  } finally {
    total--
    const left = open.get(key)! - 1
    if (left > 0) open.set(key, left)
    else open.delete(key)
  }
}

/** One reader's events. Every method resolves once the reader can take more, or has gone. */
export class Events {
  readonly #call: AnyCall

  constructor(call: AnyCall) {
    this.#call = call
  }

  async send(event: string, data: string, id?: number): Promise<void> {
    await this.#write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`)
  }

  /** A comment; with an id, a reconnect goes on after it. */
  async comment(text: string, id?: number): Promise<void> {
    await this.#write(`: ${text}\n${id === undefined ? '' : `id: ${id}\n`}\n`)
  }

  async #write(text: string): Promise<void> {
    const { response, signal } = this.#call
    if (!signal.aborted && !response.write(text)) await drained(response, signal)
  }
}

/** The index after that of a `Last-Event-ID`. */
export function resumeAt({ request }: AnyCall): number | undefined {
  const last = request.headers['last-event-id']
  return typeof last === 'string' && /^\d{1,15}$/.test(last) ? Number(last) + 1 : undefined
}

/**
 * Sends the entries from `from` on that pass, as they become durable, each under its index; until the reader goes, or
 * `isLast` says so of one.
 */
export async function followLog(
  call: AnyCall,
  events: Events,
  options: {
    readonly from: number
    readonly passes?: (facts: EntryFacts) => boolean
    readonly isLast?: (facts: EntryFacts) => boolean
  },
): Promise<void> {
  const { signal } = call
  const { storage, audit } = call.services
  const { passes, isLast } = options
  let next = options.from
  while (!signal.aborted) {
    const entries = await storage.log.read(Math.max(next, storage.log.first), 256)
    next = Math.max(next, storage.log.first)
    for (const bytes of entries) {
      const index = next++
      const facts = passes === undefined && isLast === undefined ? undefined : readFacts(bytes)
      if (facts !== undefined && passes?.(facts) === false) continue
      await events.send('entry', bytes.toString('utf8'), index)
      if (facts !== undefined && isLast?.(facts) === true) return
    }
    if (entries.length > 0) continue
    const grown = (): boolean => storage.log.size > next
    await change(signal, grown, listener => audit.onGrowth(listener))
    if (!grown()) await events.comment('alive', next > options.from ? next - 1 : undefined)
  }
}

/** Resolves when `is` holds after a change, the caller has gone, or it is time for a sign of life. */
export function change(
  signal: AbortSignal,
  is: () => boolean,
  subscribe: (listener: () => void) => () => void,
): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      unsubscribe()
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, keepAliveMs)
    const unsubscribe = subscribe(() => {
      if (is()) done()
    })
    signal.addEventListener('abort', done)
    if (signal.aborted || is()) done()
  })
}

/** Resolves when the response can take more, or the caller has gone. */
export function drained(response: NodeJS.EventEmitter, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      response.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    response.once('drain', done)
    signal.addEventListener('abort', done)
  })
}
