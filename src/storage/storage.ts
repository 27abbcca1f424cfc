/**
 * What the gateway keeps, as small interfaces named by what they guarantee. Each backend implements all of them;
 * `contract.ts` is the suite that every implementation passes.
 */

/** One durable group: entries that follow each other in the log, and small blobs that they name. */
export interface Batch {
  /** Leaf index of the first entry. Must equal the store's size: a stale writer is refused. */
  readonly start: number
  /** Exact entry bytes, in order. What is hashed is what is stored. */
  readonly entries: readonly Buffer[]
  /** Blobs named by these entries; durable with them or not at all. */
  readonly blobs: readonly Blob[]
}

export interface Blob {
  /** `sha256:` and 64 hex digits of `bytes`. */
  readonly hash: string
  readonly bytes: Buffer
}

/** No room. The batch was not kept, the store is as before, and a later append may succeed. */
export class StorageFullError extends Error {
  override readonly name = 'StorageFullError'
}

/** The store can no longer be trusted (a failed sync, a lost answer, damage). Nothing more may be appended. */
export class StorageFaultError extends Error {
  override readonly name = 'StorageFaultError'
}

/** The store belongs to another process, or to another opening of it in this one. Nothing was read or changed. */
export class StorageLockedError extends Error {
  override readonly name = 'StorageLockedError'
}

export interface AppendOptions {
  /** May use the reserve: space kept back so that a full disk can still take the ends of what was begun. */
  readonly urgent?: boolean
}

/**
 * The log's bytes: append in order, read a range. One writer.
 */
export interface LogStore {
  /** Number of durable entries. */
  readonly size: number
  /**
   * Resolves when the whole batch is on stable storage (survives power loss). All or nothing. At most one call is
   * in flight; a second one rejects with TypeError. Throws StorageFullError or StorageFaultError; after the latter
   * every call throws it. A batch that holds no entry, or does not start at `size`, is a TypeError. The entries and
   * blobs may be reused when it settles.
   */
  append(batch: Batch, options?: AppendOptions): Promise<void>
  /**
   * Durable entries from `start`, at most `limit` and at most 4 MiB (but at least one); an empty array at the end.
   * Bytes that are not as they were written are a StorageFaultError, never an answer.
   */
  read(start: number, limit: number): Promise<Buffer[]>
  /** A blob by name; undefined when it is not (or no longer) there. */
  readBlob(hash: string): Promise<Buffer | undefined>
  /** Keeps a blob too large for a batch; durable when it resolves. Call before the entry that names it. */
  writeBlob(blob: Blob): Promise<void>
  close(): Promise<void>
}

/** A large blob on its way in, piece by piece, so that nobody has to hold it whole. One call at a time. */
export interface BlobWriter {
  write(bytes: Buffer): Promise<void>
  /** Durable under its name when it resolves. `length` is in bytes. */
  finish(): Promise<{ readonly hash: string; readonly length: number }>
  /** Leaves nothing behind. Never throws. */
  abort(): Promise<void>
}

/** Blobs too large for a batch, each a whole of its own. Faults are those of `LogStore.append`. */
export interface BlobStore extends Pick<LogStore, 'readBlob' | 'writeBlob'> {
  /** Begins a blob whose name is known at its end. What is neither finished nor aborted is gone at the next start. */
  openBlob(): Promise<BlobWriter>
  /** A blob in pieces, in bounded memory and not compared with its name; undefined when it is not there. */
  streamBlob(hash: string): Promise<AsyncIterable<Buffer> | undefined>
  /**
   * Removes a blob that was kept by `writeBlob` or `openBlob`; durable when it resolves. Those of a batch go with its
   * entries: false, and nothing happens, for them and for what is not there.
   */
  removeBlob(hash: string): Promise<boolean>
}

/** Entries below `first` were removed under the policy of retention. */
export class EntriesPrunedError extends Error {
  override readonly name = 'EntriesPrunedError'
  readonly first: number

  constructor(first: number) {
    super(`entries below ${first} were removed under the policy of retention`)
    this.first = first
  }
}

/** A log whose oldest entries can be removed, a file at a time. */
export interface PrunableLog extends LogStore {
  /** The first entry that is still there. Reading below it throws EntriesPrunedError. */
  readonly first: number
  /** The largest number, at most `below`, below which entries can be removed: where a file of the log begins. */
  prunableTo(below: number): number
  /**
   * Removes all entries below `below` (one that `prunableTo` gave) with the blobs that came with them; durable when it
   * resolves, and finished by the next start if it is interrupted. The file that is being written never goes.
   */
  prune(below: number): Promise<void>
}

/** A versioned value. Versions start at 1 and grow by one with each put. */
export interface Versioned<T> {
  readonly value: T
  readonly version: number
}

/**
 * Small mutable state: approvals, tokens, cursors, wrapped keys. Durable when a call resolves. `put` is a
 * compare-and-swap, so two racing writers cannot both win. Values are JSON, at most 1 MiB.
 */
export interface StateStore {
  get<T>(space: string, key: string): Promise<Versioned<T> | undefined>
  /** `expected` 0: only if absent. Returns false, and changes nothing, when the version is another. */
  put<T>(space: string, key: string, value: T, expected: number): Promise<boolean>
  /** Deletes for good: afterwards the value is in no file of the store. Absent keys are no error. */
  delete(space: string, key: string): Promise<void>
  /** In key order; `after` is exclusive. */
  list<T>(
    space: string,
    options?: { prefix?: string; after?: string; limit?: number },
  ): Promise<(Versioned<T> & { readonly key: string })[]>
}

/** What can be asked of the derived search index. All given filters must hold. */
export interface EntryQuery {
  /** Leaf index, exclusive; ascending order unless `descending`, then entries before it. */
  readonly after?: number
  readonly descending?: boolean
  /** 1 to 1000. */
  readonly limit: number
  /** ISO 8601 or milliseconds since the epoch; `since` inclusive, `until` exclusive. */
  readonly since?: number
  readonly until?: number
  readonly kinds?: readonly string[]
  /** Id, e-mail or name of the subject or of the person it acts for; exact, case-insensitive. */
  readonly identity?: string
  readonly connection?: string
  /** Exact, or with `*`. */
  readonly operation?: string
  readonly outcome?: string
  readonly session?: string
  readonly action?: string
  readonly approval?: string
  /** Trace id, 32 hex digits: where the gateway has put the action, or else where its client says that it belongs. */
  readonly trace?: string
  /** Words that all must occur somewhere in the entry's text, which is that of `entry-facts.ts`. */
  readonly text?: string
}

/** What entries are counted by. `approval` is the kind of entries about approvals, without `approval.`. */
export const countFields = ['kind', 'identity', 'connection', 'operation', 'outcome', 'approval'] as const
export type CountField = (typeof countFields)[number]

/** Which entries to count: filters as in a search, without its pages. */
export type EntryFilter = Omit<EntryQuery, 'after' | 'descending' | 'limit'>

export interface CountQuery {
  readonly filter: EntryFilter
  /** 1 to 6 of them; each is counted by itself. */
  readonly fields: readonly CountField[]
  /** Most keys of a field that are told apart, 1 to 100; what is left over is `other`. */
  readonly top: number
  /** Buckets of time: `count` of them (1 to 1000), each `width` milliseconds, from `from` on. They bound the filter. */
  readonly buckets?: { readonly from: number; readonly width: number; readonly count: number }
}

export interface KeyCount {
  /** Identities by the subject's e-mail, else name, else id, in lower case: as the filter `identity` takes it. */
  readonly key: string
  readonly entries: number
  /** Entries of each bucket, where buckets were asked for. */
  readonly buckets?: readonly number[]
}

export interface FieldCounts {
  /** Most entries first. Entries without the field have no key. */
  readonly keys: readonly KeyCount[]
  /** Those of all keys beyond `top` together; absent where there are none. */
  readonly other?: Omit<KeyCount, 'key'> & { readonly keys: number }
}

export interface EntryCounts {
  /** Matching entries, with or without the fields. */
  readonly entries: number
  readonly fields: Readonly<Partial<Record<CountField, FieldCounts>>>
  /** Set where the filter has ids or words that match too many entries: only the newest so many were counted. */
  readonly newestOnly?: number
  readonly indexed: number
}

/** A subject that entries name, alone or on behalf of one person. */
export interface SeenIdentity {
  /** Entries that name it. */
  readonly entries: number
  /** Leaf indexes of the first and the last of them that are still there. */
  readonly first: number
  readonly last: number
}

export interface SeenPage {
  /** The most recently seen first. */
  readonly identities: readonly SeenIdentity[]
  /** Pass as `before` for the next page; absent at the end. */
  readonly next?: number
}

export interface EntryPage {
  readonly entries: readonly { readonly index: number; readonly bytes: Buffer }[]
  /** Pass as `after` for the next page; absent at the end. */
  readonly next?: number
  /** The index has taken in entries below this. */
  readonly indexed: number
}

/**
 * The search tables: derived, never authoritative, rebuilt from the log when absent or behind. Who asks is told of all
 * that was durable when the question came; where the index is far behind (after a start on a long log, while its disk
 * is full), of what it has, and `indexed` says how far that is.
 */
export interface EntryIndex {
  readonly indexed: number
  /** Resolves when entries below `size` can be found; rejects when the store is closed before that. */
  whenIndexed(size: number): Promise<void>
  /** Forgets all that it knows of entries below `below`, which are still in the log; to be called before they go. */
  prune(below: number): Promise<void>
  /** Throws TypeError for a limit out of range. Does no work on the calling thread beyond passing it on. */
  search(query: EntryQuery): Promise<EntryPage>
  /** Counts without reading entries. Throws TypeError for numbers out of range. Exact, but for `newestOnly`. */
  count(query: CountQuery): Promise<EntryCounts>
  /** Who was seen, 1 to 200 a page; `name` is a part of an id, e-mail or name, in any case. */
  identities(query: {
    readonly name?: string
    readonly before?: number
    readonly limit: number
  }): Promise<SeenPage>
}

export interface DiskSpace {
  /** What this process may still take. */
  readonly freeBytes: number
  readonly totalBytes: number
}

/** Everything one backend keeps. `close` flushes nothing: whatever resolved is already durable. */
export interface Storage {
  readonly log: PrunableLog & BlobStore
  readonly state: StateStore
  readonly index: EntryIndex
  /** Room on the disk that holds the store, so that the gateway can warn and refuse before it is gone. */
  diskSpace(): Promise<DiskSpace>
  close(): Promise<void>
}
