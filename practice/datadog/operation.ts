/** How an operation of the practice Datadog is written: a function from a call to an answer, or a thrown refusal. */
import type { LogsIntake } from './intake.ts'
import type { PracticeState } from './state.ts'
import type { Json } from './wire.ts'

export interface Call {
  readonly state: PracticeState
  readonly intake: LogsIntake
  /** Of the path template. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** The parsed body; undefined where there is none. */
  readonly body: unknown
}

export interface Answer {
  readonly status: number
  /** Absent: no body. */
  readonly body?: unknown
}

/** By the catalogue's name: `v1.createDashboard`. */
export type Operations = Readonly<Record<string, (call: Call) => Answer>>

/** An error as Datadog answers it: `{"errors": [...]}`. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export function ok(body: unknown, status = 200): Answer {
  return { status, body }
}

export const nothing: Answer = { status: 204 }

export function notFound(what: string): Refusal {
  return new Refusal(404, `${what} not found`)
}

/** The body as an object; 400 where it is none. */
export function objectOf(body: unknown): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Refusal(400, 'Invalid JSON object')
  return body as Json
}

/** A field that must be text; 400 where it is not. */
export function textOf(from: Json, name: string): string {
  const value = from[name]
  if (typeof value !== 'string' || value === '') throw new Refusal(400, `Missing required attribute: ${name}`)
  return value
}

/** `data.attributes` of a JSON:API body. */
export function attributesOf(body: unknown): Json {
  const data = objectOf(objectOf(body)['data'])
  return data['attributes'] === undefined ? {} : objectOf(data['attributes'])
}

/** `data.id` of a JSON:API body. */
export function idOf(body: unknown): string {
  return textOf(objectOf(objectOf(body)['data']), 'id')
}

/** The thing of this id; 404 where there is none. */
export function found<K, V>(things: ReadonlyMap<K, V>, id: K, what: string): V {
  const thing = things.get(id)
  if (thing === undefined) throw notFound(`${what} ${String(id)}`)
  return thing
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

/** One page by `start` and `count` or `page[number]`/`page[size]`. */
export function page<T>(all: readonly T[], query: URLSearchParams): T[] {
  const size = numberOf(query, ['page[size]', 'page_size', 'count', 'per_page', 'limit'], 100)
  const first = numberOf(query, ['start', 'offset', 'page[offset]'], -1)
  const start = first >= 0 ? first : numberOf(query, ['page[number]', 'page'], 0) * size
  return all.slice(start, start + size)
}

function numberOf(query: URLSearchParams, names: readonly string[], otherwise: number): number {
  for (const name of names) {
    const value = query.get(name)
    if (value === null) continue
    const number = Number(value)
    if (!Number.isSafeInteger(number) || number < 0) throw new Refusal(400, `Invalid value for ${name}`)
    return number
  }
  return otherwise
}
