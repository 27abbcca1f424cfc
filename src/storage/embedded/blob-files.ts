import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Blob, type BlobWriter, StorageFaultError, StorageFullError } from '../storage.ts'
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
      throw faultOf(error)
    }
  }

  /** Begins a blob that gets its name when it is whole. `failed` is told of faults that say that the disk is not sound. */
  async begin(failed: (error: StorageFaultError) => void): Promise<BlobWriter> {
    const path = join(this.#directory, partial, randomUUID())
    const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
      try {
        return await work()
      } catch (error) {
        const fault = faultOf(error)
        if (fault instanceof StorageFaultError) failed(fault)
        throw fault
      }
    }
    const file = await guarded(async () => {
      await this.#make(dirname(path))
      return await open(path, 'wx', 0o600)
    })
    return new BlobFile(path, file, {
      guarded,
      name: async digest => {
        await this.#make(dirname(this.#path(digest)))
        await rename(path, this.#path(digest))
        await syncDirectory(dirname(this.#path(digest)))
      },
    })
  }

  /** Removes what an earlier run began and did not end. */
  async sweep(): Promise<void> {
    await rm(join(this.#directory, partial), { recursive: true, force: true })
  }

  /** A file's bytes in pieces; undefined where there is none. */
  async stream(digest: string): Promise<AsyncIterable<Buffer> | undefined> {
    let file: FileHandle
    try {
      file = await open(this.#path(digest), 'r')
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
    // The open file stays readable, though it may be removed while it is read.
    return createReadStream('', { fd: file })
  }

  /** False where there is no such file. Durable when it resolves. */
  async remove(digest: string): Promise<boolean> {
    try {
      await unlink(this.#path(digest))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
    await syncDirectory(dirname(this.#path(digest)))
    return true
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

/** Below `blobs/`: blobs that are not whole yet. */
const partial = 'partial'

interface BlobFileParts {
  readonly guarded: <T>(work: () => Promise<T>) => Promise<T>
  /** Gives the file its name, durably. */
  readonly name: (digest: string) => Promise<void>
}

class BlobFile implements BlobWriter {
  readonly #path: string
  readonly #file: FileHandle
  readonly #parts: BlobFileParts
  readonly #hash = createHash('sha256')
  #length = 0

  constructor(path: string, file: FileHandle, parts: BlobFileParts) {
    this.#path = path
    this.#file = file
    this.#parts = parts
  }

  async write(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes)
    this.#length += bytes.length
    await this.#parts.guarded(() => this.#file.writeFile(bytes))
  }

  async finish(): Promise<{ readonly hash: string; readonly length: number }> {
    const digest = this.#hash.digest('hex')
    await this.#parts.guarded(async () => {
      await this.#file.sync()
      await this.#file.close()
      await this.#parts.name(digest)
    })
    return { hash: `sha256:${digest}`, length: this.#length }
  }

  async abort(): Promise<void> {
    await this.#file.close().catch(() => undefined)
    await rm(this.#path, { force: true }).catch(() => undefined)
  }
}

function faultOf(error: unknown): StorageFullError | StorageFaultError {
  if (isNoRoom(error)) return new StorageFullError('no room for the blob', { cause: error })
  return new StorageFaultError('a blob could not be written', { cause: error })
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

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
