/** Recorded HTTP actions done again elsewhere, compared, and set back: what the flavour knows, over what was recorded. */
import type {
  Inverse,
  RecordedChange,
  RecordedExchange,
  Reenactor,
  ReplayCall,
  ToldExchange,
  Unable,
} from '../../gateway/reenact.ts'
import { countMasked } from '../../model/masked-text.ts'
import { canonicalPath, judgedPath, parseQuery, queryValues } from './codec.ts'
import type { Flavour, HttpOperation } from './flavour.ts'
import { headerOf, type RecordedCall, recordedCall } from './recorded-call.ts'
import { openStage } from './stage.ts'

/** An HTTP call that can be made again. */
export interface HttpCall extends ReplayCall {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly type?: string
  /** The body as text, JSON or not. */
  readonly text?: string
}

interface ToldHttp extends ToldExchange {
  readonly recorded: RecordedCall
  readonly named: HttpOperation
}

export function httpReenactor(flavour: Flavour): Reenactor {
  return {
    tell: exchange => tell(flavour, exchange),
    stateOf,
    inverseOf: (told, before) => inverseOf(flavour, told as ToldHttp, before),
    renamed: (call, names) => renamed(call as HttpCall, names),
    idOf,
    open: openStage,
  }
}

function tell(flavour: Flavour, exchange: RecordedExchange): ToldHttp | Unable {
  const recorded = recordedCall(exchange)
  if ('unable' in recorded) return recorded
  const { method, target, headers, body, status } = recorded
  let path: string
  try {
    path = judgedPath(canonicalPath(recorded.path))
  } catch {
    return { unable: 'its path was not one that passes' }
  }
  const named = flavour.operationOf({ method, path })
  const type = headerOf(headers, 'content-type')
  const call: HttpCall = {
    words: `${method} ${named.resource ?? target}`,
    operation: named.operation,
    resource: named.resource ?? path,
    method,
    target,
    ...(type === undefined ? {} : { type }),
    ...(body === undefined ? {} : { text: body.text, body: body.value ?? body.text }),
  }
  const change = changeOf(flavour, named, { recorded, path })
  const succeeded = status >= 200 && status < 300
  const seen = succeeded && change === undefined ? seenBy(flavour, named, { recorded, path }) : []
  return {
    call,
    content: contentOf(recorded, named, path),
    succeeded,
    ...(change === undefined ? {} : { change }),
    seen,
    recorded,
    named,
  }
}

interface Recorded {
  readonly recorded: RecordedCall
  readonly path: string
}

function changeOf(
  flavour: Flavour,
  named: HttpOperation,
  { recorded, path }: Recorded,
): RecordedChange | undefined {
  const plan = flavour.previewOf?.(named, { method: recorded.method, path })
  if (plan === undefined) return undefined
  const answered = recorded.answer?.value
  const after = plan.kind === 'delete' || !isObject(answered) ? undefined : answered
  const withAfter = after === undefined ? {} : { after }
  if (plan.kind !== 'create')
    return { kind: plan.kind, place: plan.path, volatile: plan.volatile, ...withAfter }
  const id = idOf(answered)
  const place = id === undefined ? undefined : placeOf(flavour, path, id)
  return {
    kind: 'create',
    volatile: place?.volatile ?? [],
    ...(place === undefined ? {} : { place: place.path }),
    ...withAfter,
  }
}

/** Where an object of a collection is read, changed and deleted. */
function placeOf(flavour: Flavour, collection: string, id: string) {
  const plan = placePlan(flavour, `${collection}/${encodeURIComponent(id)}`)
  return plan?.kind === 'delete' ? plan : undefined
}

function placePlan(flavour: Flavour, path: string) {
  return flavour.previewOf?.(flavour.operationOf({ method: 'DELETE', path }), { method: 'DELETE', path })
}

/** The object that a read showed, or those of a list. */
function seenBy(flavour: Flavour, named: HttpOperation, { recorded, path }: Recorded): ToldExchange['seen'] {
  const answered = recorded.answer?.value
  if (recorded.method !== 'GET' || named.risk !== 'read' || answered === undefined) return []
  if (isObject(answered) && placePlan(flavour, path) !== undefined) return [{ place: path, state: answered }]
  if (!Array.isArray(answered)) return []
  return answered.flatMap((state: unknown) => {
    const id = idOf(state)
    const place = id === undefined ? undefined : placeOf(flavour, path, id)
    return place === undefined ? [] : [{ place: place.path, state }]
  })
}

function contentOf({ method, query, headers, body }: RecordedCall, named: HttpOperation, path: string) {
  const names: Record<string, string> = {}
  headers.forEach((name, i) => {
    if (i % 2 === 0) names[name.toLowerCase()] = headers[i + 1] ?? ''
  })
  return {
    method,
    path: named.resource ?? path,
    host: named.upstream.host,
    params: named.params,
    query: queryValues(query === '' ? [] : parseQuery(query)),
    headers: names,
    ...(named.template === undefined ? {} : { template: named.template }),
    ...(body?.value === undefined ? {} : { body: body.value }),
  }
}

function stateOf(exchange: RecordedExchange): { readonly state: unknown; readonly masked: boolean } | Unable {
  const recorded = recordedCall(exchange)
  if ('unable' in recorded) return recorded
  const { status, answer } = recorded
  if (status !== 200 || answer?.value === undefined)
    return { unable: `the read before it was answered with ${status}` }
  if (!answer.exact)
    return { unable: 'the earlier state holds a number that can not be written back exactly' }
  // Where more was hidden than can be found in the text, nobody knows which values are not those of the upstream.
  const hidden = exchange.entry.masked?.count ?? 0
  return { state: answer.value, masked: hidden > countMasked(answer.text) }
}

function inverseOf(
  flavour: Flavour,
  told: ToldHttp,
  before: { readonly state: unknown; readonly masked: boolean } | undefined,
): Inverse | Unable {
  const { recorded, named, change } = told
  if (flavour.inverseOf === undefined) return { unable: 'nothing is known of what sets this upstream back' }
  const done = { method: recorded.method, path: told.call.resource, sent: recorded.body?.value }
  const inverse = flavour.inverseOf(named, {
    ...done,
    ...(change === undefined ? {} : { change }),
    ...(before === undefined ? {} : { before: before.state }),
  })
  if ('unable' in inverse) return inverse
  const { method, path, body, ...rest } = inverse
  const fromBefore = body !== undefined && before !== undefined
  if (fromBefore && (before.masked || countMasked(body) > 0))
    return { unable: 'what would be written back was recorded masked, and a mask is never written' }
  const operation = flavour.operationOf({ method, path })
  const call: HttpCall = {
    words: `${method} ${path}`,
    operation: operation.operation,
    resource: operation.resource ?? path,
    method,
    target: path,
    ...(body === undefined ? {} : { type: 'application/json', text: JSON.stringify(body), body }),
  }
  return { call, ...rest }
}

function renamed(call: HttpCall, names: ReadonlyMap<string, string>): HttpCall {
  if (names.size === 0) return call
  const at = call.target.indexOf('?')
  const path = at < 0 ? call.target : call.target.slice(0, at)
  const target =
    path
      .split('/')
      .map(segment => names.get(segment) ?? segment)
      .join('/') + (at < 0 ? '' : call.target.slice(at))
  const body = withNames(call.body, names)
  const isJson = call.body !== undefined && call.body !== call.text
  return {
    ...call,
    target,
    words: call.words === `${call.method} ${call.target}` ? `${call.method} ${target}` : call.words,
    resource:
      call.resource === path ? target.slice(0, at < 0 ? undefined : target.indexOf('?')) : call.resource,
    ...(isJson ? { body, text: JSON.stringify(body) } : {}),
  }
}

function withNames(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') return names.get(value) ?? value
  if (typeof value === 'number') {
    const name = names.get(String(value))
    return name === undefined ? value : Number(name)
  }
  if (Array.isArray(value)) return value.map(each => withNames(each, names))
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withNames(each, names)]))
}

/** `id`, or that of `data`. */
function idOf(state: unknown): string | undefined {
  if (!isObject(state)) return undefined
  const id = state['id'] ?? (isObject(state['data']) ? state['data']['id'] : undefined)
  if (typeof id === 'number' && Number.isSafeInteger(id)) return String(id)
  return typeof id === 'string' && id !== '' ? id : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
