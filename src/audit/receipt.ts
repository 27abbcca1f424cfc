import { inclusionProof } from './tree.ts'
import { hashesOf, readEntry, readIfThere } from './tiles.ts'
import { join } from 'node:path'

/**
 * A receipt: proves offline that an entry is in the log, in the form of C2SP tlog-proof. The entry's own bytes ride
 * along as the extra line, so that the file alone is enough; like everything else in it they count only because the
 * proof holds for their hash.
 *
 * `directory` is the published log. Undefined where the published head does not cover the entry yet, which it will
 * within a second. Throws when the published log is not whole.
 */
export async function makeReceipt(directory: string, index: number): Promise<string | undefined> {
  if (!Number.isSafeInteger(index) || index < 0) return undefined
  // A head that witnesses vouch for says more than a newer one that they have not seen.
  const heads = ['checkpoint.witnessed', 'checkpoint'].map(name => {
    const note = readIfThere(join(directory, name))?.toString() ?? ''
    return { note, size: Number(note.split('\n')[1] ?? 0) }
  })
  const covering = heads.find(({ size }) => index < size)
  if (covering === undefined) return undefined
  const { note, size } = covering
  const entry = await readEntry(directory, index, size)
  const path = await inclusionProof(index, size, hashesOf(directory, size))
  const hashes = path.map(hash => `${hash.toString('base64')}\n`).join('')
  return `c2sp.org/tlog-proof@v1\nextra ${entry.toString('base64')}\nindex ${index}\n${hashes}\n${note}`
}
