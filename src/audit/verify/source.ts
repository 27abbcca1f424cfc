import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where a published log is read from. */
export interface Source {
  /** For people. */
  readonly name: string
  /** The file at this path below the log; undefined where there is none. Throws when that can't be told. */
  read(path: string): Promise<Buffer | undefined>
  /** All paths below the log; undefined where they can't be listed. */
  list(): Promise<string[] | undefined>
}

/** Largest file of a log: a bundle of 256 entries of 65,535 bytes, each with its length. */
const largest = 256 * 65_537

export function directorySource(directory: string): Source {
  return {
    name: directory,
    async read(path) {
      try {
        return await readFile(join(directory, path))
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined
        throw error
      }
    },
    async list() {
      const found = await readdir(directory, { recursive: true, withFileTypes: true })
      return found
        .filter(each => !each.isDirectory())
        .map(each => join(each.parentPath, each.name).slice(join(directory, '/').length))
    },
  }
}

/** Reads over HTTP. A redirect is an error: the token is for this address and no other. */
export function httpSource(base: string, token: string | undefined): Source {
  const root = base.endsWith('/') ? base : `${base}/`
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return {
    name: root,
    async read(path) {
      const response = await fetch(new URL(path, root), { headers, redirect: 'error' })
      if (response.status === 404) {
        await response.body?.cancel()
        return undefined
      }
      if (!response.ok) throw new Error(`${path}: status ${response.status}`)
      return await readAtMost(response, largest)
    },
    list: () => Promise.resolve(undefined),
  }
}

async function readAtMost(response: Response, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    const bytes: Uint8Array = chunk
    length += bytes.length
    if (length > limit) throw new Error('an answer is larger than any file of a log')
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}
