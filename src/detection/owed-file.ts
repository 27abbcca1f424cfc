import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Restriction } from './restrictions.ts'

/**
 * What the store could not take, in a file of its own until it can, so that a crash does not lose it. Written whole:
 * after a crash it holds what was written last, or what was before.
 */
export class OwedFile {
  readonly #path: string
  #turn: Promise<void> = Promise.resolve()

  constructor(path: string) {
    this.#path = path
  }

  /** Throws where there is a file that can not be read: then nobody knows who is suspended. */
  async read(): Promise<Restriction[]> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '[]'
      throw error
    })
    return JSON.parse(text) as Restriction[]
  }

  /** Durable when it resolves. One writing at a time, in the order of the calls. */
  async write(owed: readonly Restriction[]): Promise<void> {
    const turn = this.#turn.then(() => this.#write(owed))
    this.#turn = turn.catch(() => undefined)
    await turn
  }

  async #write(owed: readonly Restriction[]): Promise<void> {
    if (owed.length === 0) return await rm(this.#path, { force: true })
    const next = `${this.#path}.next`
    await mkdir(dirname(next), { recursive: true })
    const file = await open(next, 'w', 0o600)
    try {
      await file.writeFile(JSON.stringify(owed))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(next, this.#path)
    const directory = await open(dirname(this.#path))
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }
}
