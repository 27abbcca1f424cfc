/** Message to Action: what policy, guards, approvals and the log see of a request. */
import { hash } from 'node:crypto'
import { newId } from '../../id.ts'
import type { Cause } from '../../identity/delegates.ts'
import type { Action, Risk } from '../../model/action.ts'
import { causedTrace, storyFacts } from '../story.ts'
import { queryValues } from './codec.ts'
import type { HttpOperation } from './flavour.ts'
import type { RequestHead } from './request.ts'

/** Headers that change what a request does, and so belong to what an approval binds to. */
const weighty: ReadonlySet<string> = new Set([
  'accept',
  'content-encoding',
  'content-type',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'prefer',
])

/** The body as it was read for judging: exact bytes, and what conditions see of them. */
export interface ReadBody {
  readonly bytes: Buffer
  readonly judged: { readonly value: unknown } | undefined
}

export class HttpAction implements Action {
  readonly id = newId('a')
  readonly operation: string
  readonly known: boolean
  readonly risk: Risk
  readonly resource: string
  readonly content: Readonly<Record<string, unknown>>
  readonly facts: Readonly<Record<string, unknown>>
  readonly #head: RequestHead
  readonly #target: HttpOperation
  readonly #body: Buffer | undefined
  #digest: string | undefined

  constructor(
    head: RequestHead,
    target: HttpOperation,
    of: { readonly body?: ReadBody | undefined; readonly cause?: Cause | undefined } = {},
  ) {
    const { body, cause } = of
    this.operation = target.operation
    this.known = target.known
    this.risk = target.risk
    this.resource = shownPath(head, target)
    this.#head = head
    this.#target = target
    this.#body = body?.bytes
    this.content = contentOf(head, target, body)
    this.facts = { http: factsOf(head, target), ...storyOf(head, cause) }
  }

  digest(): string {
    return (this.#digest ??= this.#hash())
  }

  #hash(): string {
    const { method, path, sent = path, query, headers } = this.#head
    const lines: string[] = []
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!.toLowerCase()
      if (!weighty.has(name)) continue
      const value = name === 'prefer' ? effectiveOf(headers[i + 1]!) : headers[i + 1]!.trim()
      if (name !== 'prefer' || value !== '') lines.push(`${name}:${value}`)
    }
    const { origin, prefix } = this.#target.upstream
    const parts =
      query.length === 0 ? [] : query.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    const head = JSON.stringify([method, origin, prefix + sent, parts.map(part => part.raw), lines])
    if (this.#body === undefined) return hash('sha256', head)
    return hash('sha256', Buffer.concat([Buffer.from(`${head}\n`), this.#body]))
  }
}

/** Preferences but for how long and how the client waits: the same request with another patience does the same. */
function effectiveOf(prefer: string): string {
  if (prefer.includes('"')) return prefer.trim()
  return prefer
    .split(',')
    .map(each => each.trim())
    .filter(each => !/^(?:wait\s*=\s*[0-9]+|respond-async)$/i.test(each))
    .join(',')
}

/** The path as everybody but the upstream may see it: whatever shows, stores or judges an action never has more. */
function shownPath(head: RequestHead, target: HttpOperation): string {
  return target.resource ?? head.judged
}

function contentOf(
  head: RequestHead,
  target: HttpOperation,
  body: ReadBody | undefined,
): Record<string, unknown> {
  const content: Record<string, unknown> = {
    method: head.method,
    path: shownPath(head, target),
    host: target.upstream.host,
    params: target.params,
    query: queryValues(head.query),
    headers: headerValues(head.headers),
  }
  if (target.template !== undefined) content['template'] = target.template
  if (body?.judged !== undefined) content['body'] = body.judged.value
  return content
}

/** Most requests are in no story. */
function storyOf({ traceparent }: RequestHead, cause: Cause | undefined): Record<string, unknown> {
  if (cause === undefined && traceparent === undefined) return {}
  return storyFacts({ cause, traceparent }, causedTrace(cause))
}

/** By lower-case name; repeated fields joined with `, ` (RFC 9110 section 5.2). */
function headerValues(headers: readonly string[]): Record<string, string> {
  const values: Record<string, string> = Object.create(null)
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase()
    const earlier = values[name]
    values[name] = earlier === undefined ? headers[i + 1]! : `${earlier}, ${headers[i + 1]}`
  }
  return values
}

/** Query values may hold anything, so the entry has their names; the (masked) values are in the recording. */
function factsOf(head: RequestHead, target: HttpOperation): Record<string, unknown> {
  const facts: Record<string, unknown> = {
    ...target.facts,
    method: head.method,
    path: shownPath(head, target),
    host: target.upstream.host,
    version: head.version,
  }
  if (target.upstream.origin.startsWith('http:')) facts['scheme'] = 'http'
  if (target.template !== undefined) facts['template'] = target.template
  if (head.query.length > 0) facts['query'] = [...new Set(head.query.map(part => part.name))].slice(0, 32)
  return facts
}
