import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { type Head, parseHead, parseNote, signedBy, type VerifierKey } from './signed-note.ts'

export interface Anchors {
  /** Heads of this log that its key signed, one for each size and root. */
  readonly heads: readonly Head[]
  /** Notes that name this log and are not signed by its key. */
  readonly unsigned: number
}

/**
 * Checkpoints of this log found anywhere in exported events: one JSON value per line, and in it any string that is a
 * signed note.
 */
export async function findAnchors(
  file: string,
  { origin, keys }: { readonly origin: string; readonly keys: readonly VerifierKey[] },
): Promise<Anchors> {
  const heads = new Map<string, Head>()
  let unsigned = 0
  const look = (value: unknown, depth: number): void => {
    if (typeof value === 'string') {
      if (!value.startsWith(`${origin}\n`)) return
      const note = parseNote(Buffer.from(value))
      const head = note && parseHead(note.text)
      if (note && head && keys.some(key => signedBy(note, key) === true)) {
        heads.set(`${head.size} ${head.root.toString('hex')}`, head)
      } else unsigned++
    } else if (typeof value === 'object' && value !== null && depth < 32) {
      for (const each of Object.values(value)) look(each, depth + 1)
    }
  }
  for await (const line of createInterface({
    input: createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    if (line.trim() === '') continue
    try {
      look(JSON.parse(line), 0)
    } catch {
      unsigned += line.includes(origin) ? 1 : 0
    }
  }
  return { heads: [...heads.values()], unsigned }
}
