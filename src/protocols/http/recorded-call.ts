/** A recorded request and its answer, read back from their frames. */
import type { RecordedExchange, Unable } from '../../gateway/reenact.ts'
import { readJson } from './json.ts'
import { unpacked } from './unpack.ts'

export interface RecordedCall {
  readonly method: string
  /** Path and query, masked. */
  readonly target: string
  readonly path: string
  readonly query: string
  /** Names and values in turn. */
  readonly headers: readonly string[]
  /** Undefined where there was none; `text` where it is no JSON. */
  readonly body: RecordedBody | undefined
  /** 0: there was no answer. */
  readonly status: number
  readonly answer: RecordedBody | undefined
}

export interface RecordedBody {
  readonly text: string
  /** Undefined where it is no JSON. */
  readonly value: unknown
  /** False: it holds a number that would not come out as it went in. */
  readonly exact: boolean
}

interface Head {
  readonly method?: string
  readonly target?: string
  readonly status?: number
  readonly headers?: readonly string[]
}

/** What passed; `unable` where the request was not recorded whole. */
export function recordedCall({ entry, frames }: RecordedExchange): RecordedCall | Unable {
  const request = headOf(frames, 'client')
  if (entry.recording === undefined || request?.method === undefined || request.target === undefined)
    return { unable: 'its request was not recorded' }
  if (!entry.recording.complete) return { unable: 'its recording is not whole' }
  const answer = headOf(frames, 'upstream')
  const at = request.target.indexOf('?')
  return {
    method: request.method,
    target: request.target,
    path: at < 0 ? request.target : request.target.slice(0, at),
    query: at < 0 ? '' : request.target.slice(at + 1),
    headers: request.headers ?? [],
    body: bodyOf(frames, 'client', request),
    status: answer?.status ?? 0,
    answer: bodyOf(frames, 'upstream', answer ?? {}),
  }
}

type Frames = RecordedExchange['frames']

function headOf(frames: Frames, from: 'client' | 'upstream'): Head | undefined {
  const found = frames.find(each => each.from === from && each.part === 'head')
  return found && (readJson(found.bytes)?.value as Head | undefined)
}

function bodyOf(frames: Frames, from: 'client' | 'upstream', head: Head): RecordedBody | undefined {
  const pieces = frames.filter(each => each.from === from && each.part === 'body').map(each => each.bytes)
  if (pieces.length === 0) return undefined
  return readBody(unpacked(Buffer.concat(pieces), headerOf(head.headers ?? [], 'content-encoding')))
}

export function readBody(bytes: Buffer): RecordedBody {
  const text = bytes.toString('utf8')
  const value = readJson(bytes)?.value
  return { text, value, exact: value === undefined || isExact(text) }
}

export function headerOf(headers: readonly string[], name: string): string | undefined {
  const at = headers.findIndex((each, i) => i % 2 === 0 && each.toLowerCase() === name)
  return at < 0 ? undefined : headers[at + 1]
}

/** Whether every number of a JSON text keeps its value in JavaScript. */
function isExact(text: string): boolean {
  let exact = true
  JSON.parse(text, (_name, value: unknown, context?: { source?: string }) => {
    const digits = context?.source
    if (typeof value === 'number' && digits !== undefined && /^-?\d{16,}$/.test(digits))
      exact &&= String(value) === digits
    return value
  })
  return exact
}
