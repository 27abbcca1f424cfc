import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { NamedBlob } from './completeness.ts'
import type { Findings } from './findings.ts'

/**
 * Hashes each recording that the entries name: `<directory>/<hex>`, or `<directory>/<first two>/<hex>`. A blob that is
 * not there, of a session in `expired`, went by policy, as an entry of the log says. Gives the number that were found
 * and right, and of those that went.
 */
export async function checkBlobs(
  { blobs, expired }: { readonly blobs: readonly NamedBlob[]; readonly expired: ReadonlySet<string> },
  directory: string,
  findings: Findings,
): Promise<{ readonly right: number; readonly expired: number }> {
  const done = new Set<string>()
  let right = 0
  let gone = 0
  for (const { hash, length, entry, session } of blobs) {
    if (done.has(hash)) continue
    done.add(hash)
    const hex = /^sha256:([0-9a-f]{64})$/.exec(hash)?.[1]
    if (hex === undefined) {
      findings.add('tampering', 'blob-name', `entry ${entry} names no blob: ${hash}`)
      continue
    }
    const found =
      (await digest(join(directory, hex))) ?? (await digest(join(directory, hex.slice(0, 2), hex)))
    if (found === undefined && expired.has(session)) gone++
    else if (found === undefined) findings.add('missing', 'blob-missing', `${hash} of entry ${entry}`)
    else if (found.hex !== hex) findings.add('tampering', 'blob-differs', `${hash} of entry ${entry}`)
    else if (found.length !== length) findings.add('tampering', 'blob-length', `${hash} of entry ${entry}`)
    else right++
  }
  return { right, expired: gone }
}

async function digest(path: string): Promise<{ readonly hex: string; readonly length: number } | undefined> {
  const hash = createHash('sha256')
  let length = 0
  try {
    for await (const chunk of createReadStream(path)) {
      const bytes = chunk as Buffer
      hash.update(bytes)
      length += bytes.length
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  return { hex: hash.digest('hex'), length }
}
