import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Blob, StorageFaultError, StorageFullError } from '../storage.ts'
import { codeOf, isNoRoom } from './files.ts'

/** Large blobs, each a file named by its hash: `blobs/ab/<64 hex digits>`. */
export class BlobFiles {
  readonly #directory: string
  readonly #made = new Set<string>()

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Durable when it resolves: the file is synced before it gets its name, and the directory after. */
  async write(digest: string, { bytes }: Blob): Promise<void> {
    const path = this.#path(digest)
    const temporary = `${path}.${randomUUID()}.tmp`
    try {
      await this.#make(dirname(path))
      await writeSynced(temporary, bytes)
      await rename(temporary, path)
      await syncDirectory(dirname(path))
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      if (isNoRoom(error)) throw new StorageFullError('no room for the blob', { cause: error })
      throw new StorageFaultError('a blob could not be written', { cause: error })
    }
  }

  async read(digest: string): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#path(digest))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  async #make(directory: string): Promise<void> {
    if (this.#made.has(directory)) return
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await syncDirectory(this.#directory)
    await syncDirectory(dirname(this.#directory))
    this.#made.add(directory)
  }

  #path(digest: string): string {
    return join(this.#directory, digest.slice(0, 2), digest)
  }
}

async function writeSynced(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
