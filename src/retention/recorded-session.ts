import type { Entry } from '../audit/events.ts'
import type { EntryIndex } from '../storage/storage.ts'

/** A session as its `session.started` tells of it. */
export interface RecordedSession {
  readonly id: string
  readonly subject: Entry['subject']
  readonly connection: Entry['connection']
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

/** The sessions that run now. */
export interface RunningSessions {
  isRunning(id: string): boolean
  /** Ends it, if it runs; its `session.ended` is durable when this resolves. */
  end(id: string, reason: string): Promise<void>
}

export function recordedSession(entry: Entry): RecordedSession {
  const { session = '', subject, connection, time } = entry
  return { id: session, subject, connection, startedAt: Date.parse(time) }
}

/**
 * Whether these are the words for a person or machine, as itself or as whom an agent acts for: an id, exactly, or an
 * e-mail address in any case. Never a name: two people may share one.
 */
export function isAbout(subject: Entry['subject'], person: string): boolean {
  if (subject === undefined) return false
  const address = person.toLowerCase()
  return [subject, subject.on_behalf_of].some(
    each => each !== undefined && (each.id === person || each.email?.toLowerCase() === address),
  )
}

/** The session; undefined where the log tells of none (or no longer does). */
export async function findSession(index: EntryIndex, id: string): Promise<RecordedSession | undefined> {
  const page = await index.search({ session: id, kinds: ['session.started'], limit: 1 })
  const found = page.entries[0]
  return found && recordedSession(parseEntry(found.bytes))
}

/** When the session ended, milliseconds since the epoch; undefined where its end is not in the log. */
export async function findEnd(index: EntryIndex, id: string): Promise<number | undefined> {
  const page = await index.search({ session: id, kinds: ['session.ended'], limit: 1 })
  const found = page.entries[0]
  return found && Date.parse(parseEntry(found.bytes).time)
}

/** Every session of a person, oldest first. */
export async function findSessionsOf(index: EntryIndex, person: string): Promise<RecordedSession[]> {
  const sessions: RecordedSession[] = []
  for (let after: number | undefined; ; ) {
    const page = await index.search({
      identity: person,
      kinds: ['session.started'],
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    })
    for (const { bytes } of page.entries) {
      const session = recordedSession(parseEntry(bytes))
      if (isAbout(session.subject, person)) sessions.push(session)
    }
    if (page.next === undefined) return sessions
    after = page.next
  }
}

export function parseEntry(bytes: Buffer): Entry {
  return JSON.parse(bytes.toString('utf8')) as Entry
}
