/**
 * From what is at Datadog to what shall be there. Reading makes a plan; carrying it out twice changes nothing the second
 * time. What is not ours is never touched.
 */
import { compareState, type FieldChange } from '../../../model/compare.ts'
import type { DatadogApi } from '../api.ts'
import type { Definition, Json } from './definition.ts'
import { type Found, kindOf, kinds } from './kinds.ts'

export type Step =
  | { readonly do: 'create'; readonly definition: Definition }
  | {
      readonly do: 'change'
      readonly definition: Definition
      readonly found: Found
      /** Field by field, as it is and as it shall be. */
      readonly changes: readonly FieldChange[]
      /** True where there are more than are listed. */
      readonly cut: boolean
    }
  | { readonly do: 'keep'; readonly definition: Definition; readonly found: Found }
  /** Ours, and in no definition any more. */
  | { readonly do: 'remove'; readonly found: Found }
  | { readonly do: 'place-index-first'; readonly names: readonly string[] }

const indexOrder = '/api/v1/logs/config/index-order'

/** Reads what is there. Throws DatadogApiError. */
export async function plan(api: DatadogApi, definitions: readonly Definition[]): Promise<Step[]> {
  const found = await findOurs(api, definitions)
  const left = new Set(found)
  const steps = definitions.map((definition): Step => {
    const { kind, id } = definition
    const there = found.find(each => left.has(each) && each.kind === kind && each.id === id)
    if (there === undefined) return { do: 'create', definition }
    left.delete(there)
    const { changes, cut } = differences(there.body, definition.body)
    return changes.length === 0
      ? { do: 'keep', definition, found: there }
      : { do: 'change', definition, found: there, changes, cut }
  })
  // An index goes only when asked for: it takes its logs along, and its name can't be used again.
  const superfluous = [...left].filter(({ kind }) => kind !== 'index')
  return [
    ...steps,
    ...superfluous.map((each): Step => ({ do: 'remove', found: each })),
    ...(await order(api, definitions)),
  ]
}

/** What an uninstallation removes, in the order of removal. */
export async function planRemoval(
  api: DatadogApi,
  definitions: readonly Definition[],
  withIndex: boolean,
): Promise<Step[]> {
  const found = await findOurs(api, definitions)
  return found
    .filter(({ kind }) => withIndex || kind !== 'index')
    .toReversed()
    .map(each => ({ do: 'remove', found: each }))
}

/** Carries out one step. Throws DatadogApiError; a step that has failed can be planned again. */
export async function carryOut(api: DatadogApi, step: Step): Promise<void> {
  switch (step.do) {
    case 'create':
      await api.call('POST', kindOf(step.definition.kind).create, step.definition.body)
      return
    case 'change': {
      const { definition, found } = step
      const kind = kindOf(definition.kind)
      const body = kind.updateBody?.(definition.body) ?? definition.body
      await api.call(kind.update, kind.path(found.remote), body)
      return
    }
    case 'remove':
      await api.call('DELETE', kindOf(step.found.kind).path(step.found.remote))
      return
    case 'place-index-first':
      await api.call('PUT', indexOrder, { index_names: step.names })
      return
    case 'keep':
  }
}

async function findOurs(api: DatadogApi, definitions: readonly Definition[]): Promise<Found[]> {
  const lists: Found[][] = []
  for (const kind of kinds) {
    const names = new Set(definitions.filter(each => each.kind === kind.kind).map(each => each.id))
    lists.push(await kind.list(api, names))
  }
  return lists.flat()
}

/** A log goes to the first index whose filter takes it, so ours has to come before those that take all. */
async function order(api: DatadogApi, definitions: readonly Definition[]): Promise<Step[]> {
  const own = definitions.find(each => each.kind === 'index')
  if (own === undefined) return []
  const { index_names: names = [] } = ((await api.call('GET', indexOrder)) ?? {}) as {
    index_names?: string[]
  }
  if (names[0] === own.id) return []
  return [{ do: 'place-index-first', names: [own.id, ...names.filter(name => name !== own.id)] }]
}

function differences(there: Json, wanted: Json) {
  const [before, after] = [settled(there), settled(wanted)]
  return compareState(before, { raw: after, masked: after })
}

/** Tags in one order: they are a set. */
function settled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(settled)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      name === 'tags' && Array.isArray(each)
        ? each.map(String).toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
        : settled(each),
    ]),
  )
}
