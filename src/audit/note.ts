/**
 * C2SP signed-note with Ed25519, and the tree head that tlog-checkpoint writes in it.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'

const ed25519 = 1

/** A key that signs notes: its name, the id that signature lines carry, and a way to its private half. */
export interface NoteSigner {
  readonly name: string
  readonly id: Buffer
  /** The verifier key, `<name>+<hex id>+<base64(type || key)>`. */
  readonly vkey: string
  readonly publicKey: KeyObject
  /** 64 bytes. A key that is elsewhere takes its time, and may not be there. */
  sign(text: string): Buffer | Promise<Buffer>
}

/** A tree head: what a checkpoint says. */
export interface TreeHead {
  readonly origin: string
  readonly size: number
  readonly root: Buffer
}

/** Throws TypeError for a name with spaces or `+`, and for a key that is not Ed25519. */
export function noteSigner(name: string, key: KeyObject): NoteSigner {
  return noteSignerOf(name, createPublicKey(key), text => sign(null, Buffer.from(text), key))
}

/** As `noteSigner`, where the private half is somewhere else. */
export function noteSignerOf(name: string, publicKey: KeyObject, by: NoteSigner['sign']): NoteSigner {
  if (name === '' || /[\s+]/u.test(name)) throw new TypeError('a key name has no white space and no plus')
  if (publicKey.asymmetricKeyType !== 'ed25519') throw new TypeError('a log is signed with Ed25519')
  const { x } = publicKey.export({ format: 'jwk' })
  const typed = Buffer.concat([Buffer.of(ed25519), Buffer.from(x!, 'base64url')])
  const id = keyId(name, typed)
  return {
    name,
    id,
    vkey: `${name}+${id.toString('hex')}+${typed.toString('base64')}`,
    publicKey,
    sign: by,
  }
}

function keyId(name: string, typed: Buffer): Buffer {
  return createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, 4)
}

/** The note: text, an empty line, and a signature line for each signer. `text` ends with a newline. */
export async function signNote(text: string, signers: readonly NoteSigner[]): Promise<string> {
  const lines = await Promise.all(
    signers.map(async signer => {
      const signature = Buffer.concat([signer.id, await signer.sign(text)]).toString('base64')
      return `\u2014 ${signer.name} ${signature}\n`
    }),
  )
  return `${text}\n${lines.join('')}`
}

/** The text of a note if this key signed it; undefined otherwise. Signatures of other keys are ignored. */
export function openNote(
  note: string,
  signer: Pick<NoteSigner, 'name' | 'id' | 'publicKey'>,
): string | undefined {
  const split = note.lastIndexOf('\n\n')
  if (split < 0) return undefined
  const text = note.slice(0, split + 1)
  for (const line of note.slice(split + 2).split('\n')) {
    const [dash, name, encoded = ''] = line.split(' ')
    const bytes = Buffer.from(encoded, 'base64')
    if (dash !== '\u2014' || name !== signer.name || !bytes.subarray(0, 4).equals(signer.id)) continue
    if (verify(null, Buffer.from(text), signer.publicKey, bytes.subarray(4))) return text
  }
  return undefined
}

/** C2SP tlog-checkpoint: origin, size in decimal, root in base64. */
export function headText({ origin, size, root }: TreeHead): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`
}

/** Undefined for text that is no tree head. */
export function parseHead(text: string): TreeHead | undefined {
  const [origin, size, root, ...rest] = text.split('\n')
  if (origin === undefined || size === undefined || root === undefined || rest.length !== 1) return undefined
  const bytes = Buffer.from(root, 'base64')
  if (!/^(0|[1-9]\d{0,14})$/.test(size) || bytes.length !== 32 || bytes.toString('base64') !== root)
    return undefined
  return { origin, size: Number(size), root: bytes }
}
