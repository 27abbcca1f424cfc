import type { Storage } from '../storage.ts'
import { MemoryIndex } from './memory-index.ts'
import { MemoryLog } from './memory-log.ts'
import { MemoryState } from './memory-state.ts'

/** A store that forgets everything when it is dropped: for tests. Nothing in it is durable. */
export function openMemoryStorage(): Storage {
  const log = new MemoryLog()
  return {
    log,
    state: new MemoryState(),
    index: new MemoryIndex(log),
    diskSpace: async () => ({ freeBytes: 2 ** 40, totalBytes: 2 ** 40 }),
    close: () => log.close(),
  }
}
