import type { Findings } from './findings.ts'
import { hashLeaf, rootFromPath } from './merkle.ts'
import { decodeBase64, type Head, type Note, parseHead, parseNote } from './signed-note.ts'

/** A C2SP tlog-proof. */
export interface Receipt {
  readonly index: number
  /** The entry that rides along; counts only once the proof holds for its hash. */
  readonly extra: Buffer | undefined
  readonly path: readonly Buffer[]
  readonly note: Note
  readonly head: Head
}

/** Undefined for bytes that are no proof: nothing before, between or after its parts. */
export function parseReceipt(bytes: Buffer): Receipt | undefined {
  const split = bytes.indexOf('\n\n')
  const note = split < 0 ? undefined : parseNote(bytes.subarray(split + 2))
  const head = note && parseHead(note.text)
  const lines = bytes.subarray(0, Math.max(0, split)).toString('latin1').split('\n')
  if (head === undefined || lines.shift() !== 'c2sp.org/tlog-proof@v1') return undefined
  let extra: Buffer | undefined
  if (lines[0]?.startsWith('extra ')) {
    extra = decodeBase64(lines.shift()!.slice('extra '.length))
    if (extra === undefined) return undefined
  }
  const index = /^index (0|[1-9]\d{0,14})$/.exec(lines.shift() ?? '')?.[1]
  const path = lines.map(decodeBase64)
  if (index === undefined || path.some(hash => hash?.length !== 32)) return undefined
  return { index: Number(index), extra, path: path as Buffer[], note: note!, head }
}

/** Whether the proof holds for the entry: in `extra`, or given beside it. */
export function checkReceipt(receipt: Receipt, entry: Buffer | undefined, findings: Findings): void {
  const bytes = entry ?? receipt.extra
  if (bytes === undefined)
    return findings.add('missing', 'entry-missing', 'the receipt has no entry: give it')
  if (entry !== undefined && receipt.extra !== undefined && !entry.equals(receipt.extra)) {
    findings.add('tampering', 'entry-differs', 'the entry given is not the one in the receipt')
  }
  const { index, path, head } = receipt
  const root = rootFromPath(hashLeaf(bytes), { index, size: head.size }, path)
  if (root === undefined || !root.equals(head.root)) {
    findings.add('tampering', 'proof-fails', `the proof does not lead from entry ${index} to the signed root`)
  }
}
