import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ApiClient } from './client.ts'
import { Failure } from './failure.ts'

/** Ciphertext of the recordings that entries name, as `verify --blobs` looks for it: `<directory>/<hex>`. */
export class BlobFolder {
  readonly #api: ApiClient
  readonly #directory: string
  /** Of this run, so that no recording is asked for twice. */
  readonly #asked = new Set<string>()
  fetched = 0
  missing = 0

  constructor(api: ApiClient, directory: string) {
    this.#api = api
    this.#directory = directory
  }

  /** Fetches what the entry names, unless it is there. Throws where what came is not what its name says. */
  async take(entry: { readonly recording?: { readonly blob?: unknown } }): Promise<void> {
    const hex = /^sha256:([0-9a-f]{64})$/.exec(String(entry.recording?.blob))?.[1]
    if (hex === undefined || this.#asked.has(hex)) return
    this.#asked.add(hex)
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const path = join(this.#directory, hex)
    if (await isThere(path)) return
    const stream = await this.#api.stream(`/audit/blobs/sha256:${hex}`).catch((error: unknown) => {
      if (error instanceof Failure && error.message.includes('no such recording')) return undefined
      throw error
    })
    if (stream === undefined) {
      this.missing++
      return
    }
    const hash = createHash('sha256')
    const partial = `${path}.part`
    await pipeline(
      stream,
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          hash.update(chunk)
          yield chunk
        }
      },
      createWriteStream(partial, { mode: 0o600 }),
    )
    if (hash.digest('hex') !== hex) {
      await rm(partial)
      throw new Failure(`the gateway gave other bytes than sha256:${hex}`)
    }
    await rename(partial, path)
    this.fetched++
  }
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
