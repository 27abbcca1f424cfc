/** The body of `add-checkpoint` (C2SP tlog-witness): the old size, a consistency proof, an empty line, a checkpoint. */
import { decodeBase64, type Head, type Note, parseHead, parseNote } from '../audit/verify/signed-note.ts'

/** Hashes in a proof; a tree with more levels can't be told in a checkpoint. */
export const maxProof = 63

/** Larger than any body that a log with sixteen signatures sends. */
export const maxSubmissionBytes = 64 * 1024

export interface Submission {
  /** The size that the witness is believed to know. */
  readonly old: number
  readonly proof: readonly Buffer[]
  readonly note: Note
  readonly head: Head
}

export function formatSubmission(old: number, proof: readonly Buffer[], note: string): string {
  return `old ${old}\n${proof.map(hash => `${hash.toString('base64')}\n`).join('')}\n${note}`
}

/** Undefined for anything but the one spelling of a submission. */
export function parseSubmission(bytes: Buffer): Submission | undefined {
  const split = bytes.indexOf('\n\n')
  if (split < 0) return undefined
  const lines = bytes.subarray(0, split).toString('latin1').split('\n')
  const old = /^old (0|[1-9]\d{0,14})$/.exec(lines.shift() ?? '')?.[1]
  const proof = lines.map(decodeBase64)
  const note = parseNote(bytes.subarray(split + 2))
  const head = note && parseHead(note.text)
  if (old === undefined || head === undefined || proof.length > maxProof) return undefined
  if (proof.some(hash => hash?.length !== 32)) return undefined
  return { old: Number(old), proof: proof as Buffer[], note: note!, head }
}
