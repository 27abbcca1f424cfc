/**
 * The end of entries: whole files of the log go, with the bundles of the published log that hold the same entries, once
 * every entry in them is past its time, searchable, at every sink, and under no hold. The hashes stay: proofs of all
 * later entries, and the root of what is gone, verify as before. What was removed is an entry before it is removed.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Audit } from '../audit/audit.ts'
import type { SignedHead } from '../audit/checkpoint.ts'
import { hashesOf, tilePath, tileWidth } from '../audit/tiles.ts'
import { rootOf } from '../audit/tree.ts'
import type { Clock } from '../clock.ts'
import type { RetentionConfig } from '../config/retention.ts'
import type { Recordings } from '../recording/recordings.ts'
import type { Storage } from '../storage/storage.ts'
import type { LegalHolds } from './holds.ts'
import { parseEntry, type RunningSessions } from './recorded-session.ts'

const space = 'retention'
const key = 'pruned'
const cursorSpace = 'export-cursor'
const page = 512

export interface EntryPruningParts {
  readonly storage: Pick<Storage, 'index' | 'log' | 'state'>
  readonly audit: Audit
  readonly clock: Clock
  readonly recordings: Pick<Recordings, 'keyOf' | 'keys' | 'clear'>
  readonly sessions: Pick<RunningSessions, 'isRunning'>
  readonly holds: LegalHolds
  readonly config: RetentionConfig
  /** Names of the configured sinks: none is overtaken, not even one that has sent nothing yet. */
  readonly sinks: readonly string[]
  /** Directory of the published log. */
  readonly published: string
  readonly checkpoint: () => SignedHead | undefined
}

/** What was removed so far, or is about to be. */
interface Pruned {
  /** Bundles from this entry on were the first to go this time. */
  readonly from: number
  /** Bundles of the published log below this entry are gone. */
  readonly to: number
  /** The store has nothing below this entry, which is where a file of its journal begins. */
  readonly store: number
  /** False until all of it is gone. */
  readonly done: boolean
}

/** Why no more could be removed, in words for people. */
export interface PruningResult {
  readonly removed: number
  readonly first: number
  readonly waitsFor: string
}

/** Ends what a crash interrupted. */
export async function resumePruning(parts: EntryPruningParts): Promise<void> {
  const kept = await parts.storage.state.get<Pruned>(space, key)
  if (kept !== undefined && !kept.value.done) await remove(parts, kept.value, kept.version)
}

export async function pruneEntries(parts: EntryPruningParts): Promise<PruningResult> {
  const { storage, audit, config } = parts
  const { log, state } = storage
  const before = log.first
  const limit = await reach(parts)
  const store = log.prunableTo(Math.max(limit.below, before))
  if (store <= before) return { removed: 0, first: before, waitsFor: limit.reason }
  const kept = await state.get<Pruned>(space, key)
  const from = kept?.value.to ?? 0
  const to = store - (store % tileWidth)
  const head = parts.checkpoint()!
  if (to > from) {
    await audit.note('pruned', {
      pruned: {
        from: String(from),
        to: String(to),
        root: (await rootOf(to, hashesOf(parts.published, head.size))).toString('base64'),
        checkpoint: head.note,
        policy: { entries_keep_ms: config.entries.keep, minimum_ms: config.minimum.entries },
        store_from: String(store),
      },
    })
  }
  const next: Pruned = { from, to: Math.max(to, from), store, done: false }
  const version = kept?.version ?? 0
  if (!(await state.put(space, key, next, version))) throw new Error('two prunings at once')
  await remove(parts, next, version + 1)
  return { removed: store - before, first: store, waitsFor: limit.reason }
}

/** Index first, while it can still read what it forgets; bundles; then the journal. Each may be done already. */
async function remove(parts: EntryPruningParts, what: Pruned, version: number): Promise<void> {
  const { storage, published } = parts
  const { log, index, state } = storage
  if (what.store > log.first) {
    await index.prune(what.store)
    await removeBundles(published, what)
    await log.prune(what.store)
  } else await removeBundles(published, what)
  await clearMarkers(parts)
  await state.put(space, key, { ...what, done: true }, version)
}

async function removeBundles(directory: string, { from, to }: Pruned): Promise<void> {
  for (let index = from / tileWidth; index < to / tileWidth; index++) {
    await rm(join(directory, tilePath('entries', index)), { force: true })
  }
}

/** Forgets which sessions' recordings are gone, for sessions of which no entry is left to name one. */
async function clearMarkers({ storage, recordings }: EntryPruningParts): Promise<void> {
  const [bytes] = await storage.log.read(storage.log.first, 1)
  if (bytes === undefined) return
  const oldest = Date.parse(parseEntry(bytes).time)
  for (let after: string | undefined; ; ) {
    const keys = await recordings.keys(after, 200)
    for (const each of keys)
      if (each.gone !== undefined && each.at < oldest) await recordings.clear(each.session)
    after = keys.at(-1)?.session
    if (keys.length < 200) return
  }
}

interface Reach {
  readonly below: number
  readonly reason: string
}

/** The first entry that must stay, whatever file it is in, and why. */
async function reach(parts: EntryPruningParts): Promise<Reach> {
  const { storage, checkpoint } = parts
  const { log, index } = storage
  const head = checkpoint()?.size ?? 0
  // The last two bundles are what the checkpointer compares before each head.
  const signed = Math.max(0, head - (head % tileWidth) - 2 * tileWidth)
  const limits: Reach[] = [
    { below: signed, reason: 'what is signed' },
    { below: index.indexed, reason: 'the search index' },
    await sinksReach(parts),
  ]
  const limit = limits.reduce((a, b) => (b.below < a.below ? b : a))
  // Without a file that could go there is nothing to read for.
  if (log.prunableTo(Math.max(limit.below, log.first)) <= log.first) return limit
  return await entriesReach(parts, limit)
}

async function sinksReach({ storage, audit, sinks, clock, config }: EntryPruningParts): Promise<Reach> {
  const suffix = `@${audit.origin}`
  const cursors = await storage.state.list<{ readonly next: number; readonly at: number }>(cursorSpace)
  const own = cursors.filter(each => each.key.endsWith(suffix))
  const place = new Map(own.map(each => [each.key.slice(0, -suffix.length), each.value]))
  let found: Reach = { below: Number.MAX_SAFE_INTEGER, reason: 'nothing' }
  for (const sink of new Set([...sinks, ...place.keys()])) {
    const at = place.get(sink)
    // A sink that is not configured and has not moved for as long as entries are kept has nothing left to come for.
    if (!sinks.includes(sink) && at!.at < clock.now() - config.entries.keep) continue
    if ((at?.next ?? 0) < found.below) found = { below: at?.next ?? 0, reason: `the sink ${sink}` }
  }
  return found
}

async function entriesReach(parts: EntryPruningParts, limit: Reach): Promise<Reach> {
  const { storage, sessions, holds, clock, config, recordings } = parts
  const { log } = storage
  const past = clock.now() - Math.max(config.entries.keep, config.minimum.entries)
  const recorded = new Map<string, boolean>()
  for (let seq = log.first; seq < limit.below; ) {
    for (const bytes of await log.read(seq, Math.min(page, limit.below - seq))) {
      const entry = parseEntry(bytes)
      const { session } = entry
      if (Date.parse(entry.time) >= past) return { below: seq, reason: 'its time' }
      const hold = holds.onEntry(entry)
      if (hold !== undefined) return { below: seq, reason: `the hold ${hold.id}` }
      if (session !== undefined) {
        if (sessions.isRunning(session)) return { below: seq, reason: `the running session ${session}` }
        if (!recorded.has(session)) recorded.set(session, await isKept(recordings, session))
        if (recorded.get(session) === true) return { below: seq, reason: `the recordings of ${session}` }
      }
      seq++
    }
    if (recorded.size > 10_000) recorded.clear()
  }
  return limit
}

async function isKept(recordings: Pick<Recordings, 'keyOf'>, session: string): Promise<boolean> {
  const key = await recordings.keyOf(session)
  return key !== undefined && key.gone === undefined
}
