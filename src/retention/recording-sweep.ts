/**
 * The end of recordings: of each session whose time of retention has ended the key is destroyed and the files are
 * removed. Blobs that came with their entries stay with them, unreadable.
 */
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { RecordingRule, RetentionConfig } from '../config/retention.ts'
import type { Recordings } from '../recording/recordings.ts'
import type { Storage } from '../storage/storage.ts'
import type { LegalHolds } from './holds.ts'
import {
  findEnd,
  findSession,
  parseEntry,
  type RecordedSession,
  type RunningSessions,
} from './recorded-session.ts'

const page = 200
/** Sessions that one entry names. */
const perEntry = 100

export interface RecordingSweepParts {
  readonly storage: Pick<Storage, 'index' | 'log'>
  readonly audit: Audit
  readonly clock: Clock
  readonly recordings: Pick<Recordings, 'keys' | 'erase' | 'clear'>
  readonly sessions: Pick<RunningSessions, 'isRunning'>
  readonly holds: LegalHolds
  readonly config: RetentionConfig
}

export interface SweptRecordings {
  readonly sessions: number
  readonly blobs: number
  /** Past their time, and kept for a legal hold. */
  readonly held: number
}

/** How long recordings of a session are kept after its end, milliseconds. */
export function keepOf(session: RecordedSession, { recordings, entries, minimum }: RetentionConfig): number {
  const rule = recordings.find(each => matches(each, session))
  return Math.max(rule?.keep ?? entries.keep, minimum.recordings)
}

function matches({ connections, sensitivity, subjects }: RecordingRule, session: RecordedSession): boolean {
  const { connection, subject } = session
  if (connections !== undefined && !connections.some(each => matchesName(each, connection?.name ?? '')))
    return false
  if (sensitivity !== undefined && !sensitivity.some(each => each === connection?.sensitivity)) return false
  return subjects === undefined || subjects.some(each => each === subject?.kind)
}

/** Exact, or with `*` for any characters. */
function matchesName(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === name
  const last = rest.pop()!
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last))
    return false
  let at = first.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0 || found + part.length > name.length - last.length) return false
    at = found + part.length
  }
  return true
}

/** `inTurn` holds off holds and erasures for one session at a time, so that none waits long. */
export async function sweepRecordings(
  parts: RecordingSweepParts,
  inTurn: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<SweptRecordings> {
  const { recordings, config, clock } = parts
  const shortest = Math.min(config.entries.keep, ...config.recordings.map(each => each.keep))
  const swept: string[] = []
  let blobs = 0
  let held = 0
  for (let after: string | undefined; ; ) {
    const keys = await recordings.keys(after, page)
    for (const { session, at, gone } of keys) {
      // A session ends after its key was made: what is younger than the shortest time can't be past its own.
      if (gone !== undefined || at > clock.now() - shortest) continue
      const result = await inTurn(() => sweepOne(parts, session))
      if (result === 'held') held++
      else if (result !== 'kept') {
        blobs += result
        swept.push(session)
        if (swept.length % perEntry === 0) await tell(parts, swept.slice(-perEntry))
      }
    }
    after = keys.at(-1)?.session
    if (keys.length < page) break
  }
  const rest = swept.length % perEntry
  if (rest > 0) await tell(parts, swept.slice(-rest))
  return { sessions: swept.length, blobs, held }
}

async function sweepOne(parts: RecordingSweepParts, id: string): Promise<'kept' | 'held' | number> {
  const { storage, sessions, holds, config, clock, recordings } = parts
  if (sessions.isRunning(id)) return 'kept'
  const session = await findSession(storage.index, id)
  const endedAt = await findEnd(storage.index, id)
  // Of a session without an end in the index nothing is known yet: the next sweep will see.
  if (session === undefined || endedAt === undefined) return 'kept'
  if (endedAt > clock.now() - keepOf(session, config)) return 'kept'
  if (holds.on(session) !== undefined) return 'held'
  await recordings.erase(id, 'expired')
  return await removeBlobs(parts, id)
}

async function removeBlobs({ storage }: RecordingSweepParts, session: string): Promise<number> {
  let removed = 0
  for (let after: number | undefined; ; ) {
    const found = await storage.index.search({
      session,
      limit: page,
      ...(after === undefined ? {} : { after }),
    })
    for (const { bytes } of found.entries) {
      const { recording } = parseEntry(bytes)
      if (recording !== undefined && (await storage.log.removeBlob(recording.blob))) removed++
    }
    if (found.next === undefined) return removed
    after = found.next
  }
}

/** After the fact, and again for what a crash kept from being said: an entry never claims what did not happen. */
async function tell({ audit, config }: RecordingSweepParts, sessions: readonly string[]): Promise<void> {
  const policy = config.recordings.map(({ keep, ...which }) => ({ ...which, keep_ms: keep }))
  await audit.note('erasure.done', {
    erasure: {
      basis: 'retention',
      sessions,
      counts: { sessions: sessions.length },
      policy: { recordings: policy, entries_keep_ms: config.entries.keep },
    },
  })
}
