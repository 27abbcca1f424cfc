import { mkdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { StorageConfig } from '../../config/storage.ts'
import type { DiskSpace, Storage } from '../storage.ts'
import { EmbeddedIndex } from './embedded-index.ts'
import { EmbeddedLog } from './embedded-log.ts'
import { EmbeddedState } from './embedded-state.ts'
import { JournalThread } from './journal-thread.ts'
import { lockDirectory } from './lock.ts'

export interface EmbeddedOptions {
  /** Made with mode 0700 when absent. One process at a time. */
  readonly directory: string
  /** Sizes of the log's files and of the reserve; on a small disk both are less than asked for. */
  readonly config?: Partial<Pick<StorageConfig, 'segment_bytes' | 'reserve_bytes'>>
  /** How many of the newest files of the log are read whole on opening; default 2. Damage in older ones shows when they are read. */
  readonly checkSegments?: number
  /** A module that exports `files: Files`, to fail the journal's system calls in tests. */
  readonly files?: string
}

export interface EmbeddedStorage extends Storage {
  /** What opening found: entries, and bytes of a batch that a crash had cut off and nobody was told of. */
  readonly recovered: { readonly size: number; readonly cutBytes: number }
}

const mebibyte = 1024 * 1024

/**
 * Opens, or makes, the store of a directory: a journal for the log, SQLite for state and for the search tables, each
 * in a thread of its own. Throws StorageLockedError when it is in use, StorageFaultError (with file and offset) when
 * the log is damaged anywhere but in the torn end that a crash leaves, StorageFullError when there is no room to begin.
 */
export async function openEmbeddedStorage(options: EmbeddedOptions): Promise<EmbeddedStorage> {
  const { directory } = options
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const opened: (() => unknown)[] = [lockDirectory(directory)]
  try {
    const journal = {
      directory: join(directory, 'journal'),
      segmentBytes: options.config?.segment_bytes ?? 64 * mebibyte,
      reserveBytes: options.config?.reserve_bytes ?? 8 * mebibyte,
      checkSegments: options.checkSegments ?? 2,
    }
    const stateOpening = EmbeddedState.open(join(directory, 'state.db'))
    const threadOpening = JournalThread.open(journal, options.files)
    const [thread, state] = await settle(threadOpening, stateOpening, opened)
    const log = new EmbeddedLog(thread, directory)
    opened.push(() => log.close())
    await log.sweep()
    const { size, marks, cutBytes } = thread.recovered
    const start = {
      path: join(directory, 'index.db'),
      journal: journal.directory,
      id: thread.id,
      marks,
      size,
    }
    const index = await EmbeddedIndex.open(start, indexed => log.forgetIndexed(indexed))
    opened.push(() => index.close())
    log.finder = index
    log.onGrowth = grown => index.grow(grown)
    const close = closer(opened)
    return {
      log,
      state,
      index,
      recovered: { size, cutBytes },
      close,
      diskSpace: () => space(directory),
    }
  } catch (error) {
    await closer(opened)()
    throw error
  }
}

/** Waits for both, so that what did open can be closed when the other did not. */
async function settle(
  thread: Promise<JournalThread>,
  state: Promise<EmbeddedState>,
  opened: (() => unknown)[],
): Promise<[JournalThread, EmbeddedState]> {
  const [first, second] = await Promise.allSettled([thread, state])
  if (first.status === 'fulfilled') opened.push(() => first.value.close())
  if (second.status === 'fulfilled') opened.push(() => second.value.close())
  return [await thread, await state]
}

function closer(opened: readonly (() => unknown)[]): () => Promise<void> {
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    for (const each of opened.toReversed()) await each()
  }
  return () => (closing ??= close())
}

async function space(directory: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(directory)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}
