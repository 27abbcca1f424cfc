/** A resource field by field: what a request changes of it, what is added, what is removed. Bounded, and masked before. */

/** One field that would change; absent on one side: added or removed. */
export interface FieldChange {
  readonly path: string
  readonly before?: unknown
  readonly after?: unknown
}

const mostChanges = 64
const mostBytes = 64 * 1024
const deepest = 32

export interface Changes {
  readonly changes: readonly FieldChange[]
  readonly cut: boolean
}

class Gathered implements Changes {
  readonly changes: FieldChange[] = []
  cut = false
  #bytes = 0

  /** False: no more is taken. */
  add(change: FieldChange): boolean {
    const bytes = Buffer.byteLength(JSON.stringify(change))
    if (this.changes.length >= mostChanges || this.#bytes + bytes > mostBytes) {
      this.cut = true
      return false
    }
    this.#bytes += bytes
    this.changes.push(change)
    return true
  }
}

/** All of a resource, as added (`after`) or as removed (`before`), by its fields. */
export function describeState(state: unknown, side: 'before' | 'after'): Changes {
  const found = new Gathered()
  const { value, path } = resourceOf(state)
  for (const [name, each] of fieldsOf(value)) {
    if (!isEmpty(each)) found.add({ path: joined(path, name), [side]: each })
  }
  return { changes: found.changes, cut: found.cut }
}

/**
 * The fields of a request's body that differ from the current state; what the body does not name is not compared. A
 * field in which the mask hid something of the request is always listed, since two hidden values look alike.
 */
export function compareState(
  state: unknown,
  body: { readonly raw: unknown; readonly masked: unknown },
): Changes {
  const found = new Gathered()
  const { raw, masked } = body
  compare(found, { path: '', before: counterpartOf(state, masked), raw, after: masked, depth: 0 })
  return { changes: found.changes, cut: found.cut }
}

/**
 * All in which two states differ, fields that only one of them has included. `ignored`: names of fields that are not
 * compared, wherever they stand.
 */
export function compareStates(
  before: unknown,
  after: unknown,
  ignored: ReadonlySet<string> = new Set<string>(),
): Changes {
  const found = new Gathered()
  differ(found, { path: '', before, after, ignored, depth: 0 })
  return { changes: found.changes, cut: found.cut }
}

function differ(
  found: Gathered,
  of: {
    readonly path: string
    readonly before: unknown
    readonly after: unknown
    readonly ignored: ReadonlySet<string>
    readonly depth: number
  },
): boolean {
  const { path, before, after, ignored, depth } = of
  if (same(before, after)) return true
  const next = { ignored, depth: depth + 1 }
  if (depth < deepest && isRecord(before) && isRecord(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)])
    return [...names].every(
      name =>
        ignored.has(name) ||
        differ(found, { ...next, path: joined(path, name), before: before[name], after: after[name] }),
    )
  }
  if (depth < deepest && Array.isArray(before) && Array.isArray(after)) {
    const items = Array.from({ length: Math.max(before.length, after.length) }, (_, i) => i)
    return items.every(i =>
      differ(found, {
        ...next,
        path: `${path}[${i}]`,
        before: before[i] as unknown,
        after: after[i] as unknown,
      }),
    )
  }
  return found.add({
    path,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  })
}

interface Place {
  readonly path: string
  /** Masked, of the state. */
  readonly before: unknown
  /** Of the body, before the mask. */
  readonly raw: unknown
  /** Of the body, masked. */
  readonly after: unknown
  readonly depth: number
}

function compare(found: Gathered, place: Place): boolean {
  const { path, before, raw, after, depth } = place
  if (after === undefined) return true
  const below = depth < deepest && before !== null && after !== null
  if (below && isRecord(before) && isRecord(after)) {
    const rawFields = isRecord(raw) ? raw : {}
    return Object.keys(after).every(name =>
      compare(found, {
        path: joined(path, name),
        before: before[name],
        raw: rawFields[name],
        after: after[name],
        depth: depth + 1,
      }),
    )
  }
  if (below && Array.isArray(before) && Array.isArray(after)) {
    const rawItems: readonly unknown[] = Array.isArray(raw) ? raw : []
    for (let i = 0; i < Math.max(before.length, after.length); i++) {
      const item = `${path}[${i}]`
      const more =
        i >= after.length
          ? found.add({ path: item, before: before[i] as unknown })
          : compare(found, {
              path: item,
              before: before[i],
              raw: rawItems[i],
              after: after[i],
              depth: depth + 1,
            })
      if (!more) return false
    }
    return true
  }
  if (same(before, after) && same(raw, after)) return true
  return found.add({ path, ...(before === undefined ? {} : { before }), after })
}

/** The part of the state that a body of this shape speaks of: many answers wrap in `data` what requests don't. */
function counterpartOf(state: unknown, body: unknown): unknown {
  if (!isRecord(state) || !isRecord(body) || 'data' in body || !isRecord(state['data'])) return state
  return state['data']
}

/** The fields people know a resource by. */
function resourceOf(state: unknown): { readonly value: unknown; readonly path: string } {
  const data = isRecord(state) && isRecord(state['data']) ? state['data'] : undefined
  if (data === undefined) return { value: state, path: '' }
  return isRecord(data['attributes'])
    ? { value: data['attributes'], path: 'data.attributes' }
    : { value: data, path: 'data' }
}

function fieldsOf(value: unknown): [string, unknown][] {
  if (!isRecord(value)) return value === undefined ? [] : [['', value]]
  // Short fields first: where not all fit, the name of the resource is among those that do.
  return Object.entries(value).toSorted(([, a], [, b]) => Number(isNested(a)) - Number(isNested(b)))
}

function isNested(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function isEmpty(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Equal as JSON, without regard to the order of keys. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((each, i) => same(each, b[i]))
  }
  if (!isRecord(a) || !isRecord(b)) return false
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => name in b && same(a[name], b[name]))
}

function joined(path: string, name: string): string {
  if (name === '') return path
  const simple = /^[A-Za-z0-9_$-]+$/.test(name)
  const step = simple ? name : `[${JSON.stringify(name)}]`
  return path === '' || !simple ? `${path}${step}` : `${path}.${step}`
}
