/**
 * What a witness remembers: for each log `<sha256 of its origin>/checkpoint`, the last one it cosigned, with its own
 * signature on it. The files are the state and what monitors are served, so there is nothing to keep in step.
 */
import { mkdirSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { readIfThere, replaceFile, syncDirectories } from '../audit/tiles.ts'
import { type Head, parseHead, parseNote, signedBy, type VerifierKey } from '../audit/verify/signed-note.ts'
import { hashOrigin } from './witness.ts'

/** The last checkpoint of a log that was cosigned, and when: seconds since the epoch. */
export interface Remembered {
  readonly head: Head
  readonly time: number
  readonly note: string
}

export interface WitnessStore {
  last(origin: string): Remembered | undefined
  /** Durable when it returns. After it threw, what is kept is not known until the next start. */
  keep(remembered: Remembered): void
}

/**
 * Reads what was kept. Throws where a file is not as this witness wrote it: to go on from there would be to cosign
 * whatever the next submission says.
 */
export function openWitnessStore(place: string, own: VerifierKey): WitnessStore {
  const directory = resolve(place)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  syncDirectories([directory], dirname(directory))
  const all = new Map<string, Remembered>()
  for (const name of readdirSync(directory)) {
    if (!/^[0-9a-f]{64}$/.test(name)) continue
    const bytes = readIfThere(join(directory, name, 'checkpoint'))
    // Made, and the process ended before the first checkpoint was in it.
    if (bytes === undefined) continue
    const remembered = parse(bytes, own)
    if (remembered === undefined || hashOrigin(remembered.head.origin) !== name)
      throw new Error(`the state of the witness is damaged: ${name}/checkpoint is not as it was written`)
    all.set(remembered.head.origin, remembered)
  }
  return {
    last: origin => all.get(origin),
    keep(remembered) {
      const { origin } = remembered.head
      const folder = join(directory, hashOrigin(origin))
      replaceFile(join(folder, 'checkpoint'), Buffer.from(remembered.note))
      syncDirectories([folder], directory)
      all.set(origin, remembered)
    },
  }
}

function parse(bytes: Buffer, own: VerifierKey): Remembered | undefined {
  const note = parseNote(bytes)
  const head = note && parseHead(note.text)
  if (note === undefined || head === undefined || signedBy(note, own) !== true) return undefined
  const line = note.signatures.find(({ name, id }) => name === own.name && id.equals(own.id))
  return { head, time: Number(line!.signature.readBigUInt64BE()), note: bytes.toString() }
}
