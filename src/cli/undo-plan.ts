/** What would set a session's changes back, the last first, and whether each may: pure but for what it reads. */
import type { Entry } from '../audit/events.ts'
import type { Inverse, Reenactor, Stage, ToldExchange } from '../gateway/reenact.ts'
import { type Changes, compareStates, describeState } from '../model/compare.ts'
import { sameButMasked } from '../model/masked-text.ts'
import type { ApiClient } from './client.ts'
import { beforeOf, readAction, type RecordedAction, type RecordedSession } from './recorded-session.ts'

export interface UndoStep {
  readonly entry: Entry
  /**
   * `ready`; `conflict`: the object is not as the session left it; `done`: it is as it was before; `unable`: it can't
   * be undone.
   */
  readonly state: 'ready' | 'conflict' | 'done' | 'unable'
  readonly why?: string
  readonly inverse?: Inverse
  readonly kind?: 'create' | 'update' | 'delete'
  readonly place?: string
  /** What a conflict is about, or else what undoing changes. */
  readonly changes?: Changes
  /** What names an id that is not coming back, and lists that could not be looked at. */
  readonly references: readonly string[]
  /** The object as it must be when this is undone; undefined: not there. */
  readonly expected?: unknown
  readonly volatile: ReadonlySet<string>
}

export interface UndoParts {
  readonly api: ApiClient
  readonly reenactor: Reenactor
  readonly session: RecordedSession
  /** The gateway, as the caller. */
  readonly stage: Stage
  readonly identity: string | undefined
}

interface Place {
  /** What is there, or would be once the steps planned so far are done. */
  readonly state: unknown
  readonly isKnown: boolean
}

type Places = Map<string, Place>

export async function planUndo(parts: UndoParts): Promise<readonly UndoStep[]> {
  const { session } = parts
  const undone = await undoneBefore(parts)
  const places: Places = new Map()
  const steps: UndoStep[] = []
  for (const action of session.actions.toReversed()) {
    const { entry } = action.exchange
    if (entry.risk === 'read' || !mayHaveRun(entry)) continue
    steps.push(await planStep(parts, action, { places, by: undone.get(entry.seq) }))
  }
  return steps
}

function mayHaveRun({ kind, outcome }: Entry): boolean {
  if (kind === 'action.denied' || kind === 'action.not_forwarded') return false
  return !(kind === 'action.completed' && outcome === 'failure')
}

/** By entry of the undone action, the entry of the one that undid it. */
async function undoneBefore({ api, session }: UndoParts): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  let after: string | undefined
  do {
    const page = await api.call<{ entries: Entry[]; next?: string }>('/audit/entries', {
      query: { kind: 'undo.applied', text: session.id, limit: 1000, after },
    })
    for (const { of, by } of page.entries as unknown as Link[])
      if (of.session === session.id) found.set(of.entry, by.entry)
    after = page.next
  } while (after !== undefined)
  return found
}

interface Link {
  readonly of: { readonly session: string; readonly entry: string }
  readonly by: { readonly entry: string }
}

async function planStep(
  parts: UndoParts,
  { exchange, unavailable }: RecordedAction,
  { places, by }: { readonly places: Places; readonly by: string | undefined },
): Promise<UndoStep> {
  const { reenactor } = parts
  const { entry } = exchange
  const base = { entry, references: [], volatile: new Set<string>() }
  if (by !== undefined) return { ...base, state: 'done', why: `entry ${by} undid it` }
  if (entry.kind !== 'action.completed')
    return { ...base, state: 'unable', why: 'nobody knows whether it ran to its end' }
  const told = reenactor.tell(exchange)
  if ('unable' in told) return { ...base, state: 'unable', why: unavailable ?? told.unable }
  const before = await stateBefore(parts, entry)
  const inverse = reenactor.inverseOf(told, 'state' in before ? before : undefined)
  const { change } = told
  const about = {
    ...base,
    ...(change === undefined ? {} : { kind: change.kind, volatile: new Set(change.volatile) }),
    ...(change?.place === undefined ? {} : { place: change.place }),
  }
  if ('unable' in inverse) {
    const why = 'unable' in before && before.unable !== '' ? before.unable : inverse.unable
    return { ...about, state: 'unable', why }
  }
  const was = 'state' in before ? before.state : undefined
  return await compared(parts, { about: { ...about, inverse }, told, inverse, was, places })
}

async function stateBefore({ api, reenactor, identity }: UndoParts, entry: Entry) {
  const at = beforeOf(entry)
  if (at === undefined) return { unable: '' }
  const read = await readAction(api, at, identity)
  if (read === undefined) return { unable: 'the read before it is not in the log any more' }
  if (read.unavailable !== undefined) return { unable: `the state before it: ${read.unavailable}` }
  return reenactor.stateOf(read.exchange)
}

interface Compared {
  readonly about: Omit<UndoStep, 'state'>
  readonly told: ToldExchange
  readonly inverse: Inverse
  /** The recorded state before; undefined: none. */
  readonly was: unknown
  readonly places: Places
}

async function compared(parts: UndoParts, of: Compared): Promise<UndoStep> {
  const { about, told, inverse, was, places } = of
  const { change } = told
  const place = change?.place
  if (change === undefined || place === undefined) return { ...about, state: 'ready' }
  const now = places.get(place) ?? (await stateOf(parts.stage, place))
  if ('unable' in now) return { ...about, state: 'unable', why: now.unable }
  const becomes = inverse.becomes ?? (change.kind === 'delete' ? was : undefined)
  const { volatile } = about
  const then = { ...about, ...(change.after === undefined ? {} : { expected: change.after }) }
  const as = (state: UndoStep['state'], why?: string): UndoStep => {
    // Whether or not it is undone, the steps before it are compared with what it leaves.
    const left = change.kind === 'delete' ? was : becomes
    places.set(place, { state: left, isKnown: change.kind === 'create' || left !== undefined })
    return { ...then, state, ...(why === undefined ? {} : { why }), changes: shown(of, now.state, becomes) }
  }
  const isThere = now.state !== undefined
  if (!now.isKnown) return as('conflict', 'what is there after the steps before can not be told beforehand')
  if (change.kind === 'delete') {
    if (isThere) return as('done', 'it is there again')
    const references = inverse.replaces === undefined ? [] : await referencesTo(parts.stage, inverse.replaces)
    return { ...as('ready'), references }
  }
  if (!isThere)
    return change.kind === 'create'
      ? as('done', 'it is gone already')
      : as('conflict', 'it was deleted since')
  if (becomes !== undefined && sameButMasked(now.state, becomes, volatile))
    return as('done', 'it is as it was')
  if (change.after === undefined) return as('conflict', 'how the session left it was not recorded')
  if (sameButMasked(now.state, change.after, volatile)) return as('ready')
  const changes = compareStates(change.after, now.state, volatile)
  return { ...as('conflict', 'it was changed since by somebody else'), changes }
}

function shown({ told, about }: Compared, now: unknown, becomes: unknown): Changes {
  if (told.change?.kind === 'create') return describeState(now, 'before')
  return now === undefined ? describeState(becomes, 'after') : compareStates(now, becomes, about.volatile)
}

async function stateOf(stage: Stage, place: string): Promise<Place | { readonly unable: string }> {
  try {
    return { state: await stage.read(place), isKnown: true }
  } catch (error) {
    return { unable: `how it is now can not be read: ${(error as Error).message}` }
  }
}

async function referencesTo(
  stage: Stage,
  { id, lists }: NonNullable<Inverse['replaces']>,
): Promise<readonly string[]> {
  const found: string[] = []
  for (const list of lists) {
    try {
      for (const item of itemsOf(await stage.read(list)))
        if (names(item, id)) found.push(`${list}: ${titleOf(item)}`)
    } catch (error) {
      found.push(`${list} could not be looked at: ${(error as Error).message}`)
    }
  }
  return found
}

function itemsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  const data = typeof value === 'object' && value !== null ? (value as { data?: unknown }).data : undefined
  return Array.isArray(data) ? data : []
}

/** Whether an id stands somewhere in it, as a number, a text, or a whole word of one, as in a composite's query. */
function names(value: unknown, id: string): boolean {
  if (typeof value === 'number') return String(value) === id
  if (typeof value === 'string') return value.split(/[^A-Za-z0-9_-]+/).includes(id)
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).some(each => names(each, id))
}

function titleOf(item: unknown): string {
  const { name, title, id } = item as { name?: unknown; title?: unknown; id?: unknown }
  return String(name ?? title ?? id)
}
