/**
 * Reads C2SP signed notes and checkpoints, strictly: what has two spellings could hide a change, so base64 must be
 * canonical and every byte must have its place.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'

/** A public key as verifiers are given it. */
export interface VerifierKey {
  readonly vkey: string
  readonly name: string
  readonly id: Buffer
  /** 1: Ed25519 of a log (signed-note). 4: Ed25519 of a witness (tlog-cosignature). */
  readonly type: 1 | 4
  readonly key: KeyObject
}

export interface SignatureLine {
  readonly name: string
  readonly id: Buffer
  readonly signature: Buffer
}

export interface Note {
  /** With its last newline: what is signed. */
  readonly text: string
  readonly signatures: readonly SignatureLine[]
}

export interface Head {
  readonly origin: string
  readonly size: number
  readonly root: Buffer
}

/** Strict standard base64: undefined unless encoding the result gives the text back. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** Strict UTF-8 without control characters but newline: undefined otherwise. */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return /[\u0000-\u0009\u000b-\u001f\u007f]/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

/** Throws TypeError for what is not `<name>+<hash>+<key>` with an Ed25519 key of a log or a witness. */
export function parseVerifierKey(vkey: string): VerifierKey {
  const [name = '', hex = '', encoded = '', ...more] = splitKey(vkey)
  const typed = decodeBase64(encoded)
  const type = typed?.[0]
  if (name === '' || /[\s+]/u.test(name) || more.length > 0 || !/^[0-9a-f]{8}$/.test(hex)) {
    throw new TypeError(`not a verifier key: ${vkey}`)
  }
  if (typed?.length !== 33 || (type !== 1 && type !== 4)) throw new TypeError(`not an Ed25519 key: ${vkey}`)
  const id = createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, 4)
  if (id.toString('hex') !== hex) throw new TypeError(`the key does not have its own id: ${vkey}`)
  const x = typed.subarray(1).toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return { vkey, name, id, type, key }
}

/** Base64 has plus signs of its own: only the first two separate. */
function splitKey(vkey: string): string[] {
  const first = vkey.indexOf('+')
  const second = vkey.indexOf('+', first + 1)
  if (first < 0 || second < 0) return []
  return [vkey.slice(0, first), vkey.slice(first + 1, second), vkey.slice(second + 1)]
}

/** Undefined for bytes that are no signed note. */
export function parseNote(bytes: Uint8Array): Note | undefined {
  const all = bytes.length <= 1_000_000 ? decodeText(bytes) : undefined
  const split = all?.lastIndexOf('\n\n') ?? -1
  if (all === undefined || split < 0 || !all.endsWith('\n')) return undefined
  const lines = all.slice(split + 2, -1).split('\n')
  if (lines.length > 100) return undefined
  const signatures: SignatureLine[] = []
  for (const line of lines) {
    const match = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/=]+)$/u.exec(line)
    const decoded = match && decodeBase64(match[2]!)
    if (!match || !decoded || decoded.length < 5) return undefined
    signatures.push({ name: match[1]!, id: decoded.subarray(0, 4), signature: decoded.subarray(4) })
  }
  return { text: all.slice(0, split + 1), signatures }
}

/**
 * Whether this key signed the note: true, false for a signature under its name and id that does not hold, undefined
 * where it has none. A witness signs the time it saw the head as well (tlog-cosignature).
 */
export function signedBy(note: Note, { name, id, type, key }: VerifierKey): boolean | undefined {
  let found: boolean | undefined
  for (const line of note.signatures) {
    if (line.name !== name || !line.id.equals(id)) continue
    if (type === 1) found = verify(null, Buffer.from(note.text), key, line.signature)
    else if (line.signature.length !== 72) found = false
    else {
      const time = line.signature.readBigUInt64BE()
      const message = Buffer.from(`cosignature/v1\ntime ${time}\n${note.text}`)
      found = verify(null, message, key, line.signature.subarray(8))
    }
    if (!found) return false
  }
  return found
}

/** The tree head in a note's text; undefined where it is none. Extension lines are allowed, and mean nothing here. */
export function parseHead(text: string): Head | undefined {
  const [origin = '', size = '', root = '', ...rest] = text.split('\n')
  const bytes = decodeBase64(root)
  if (origin === '' || !/^(0|[1-9]\d{0,14})$/.test(size) || bytes?.length !== 32) return undefined
  if (rest.pop() !== '' || rest.includes('')) return undefined
  return { origin, size: Number(size), root: bytes }
}
