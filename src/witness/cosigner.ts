import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto'

/** Ed25519 cosignatures (C2SP tlog-cosignature). */
const cosignatureType = 4

/** A key that says of a tree head: this was the largest consistent tree I had seen at this time. */
export interface Cosigner {
  readonly name: string
  /** What those who trust it configure: `<name>+<hex id>+<base64(0x04 || key)>`. */
  readonly vkey: string
  /** The signature line, with its newline. `text` is a checkpoint's, without signatures; `time` in whole seconds. */
  cosign(text: string, time: number): string
}

/** Throws TypeError for a name with white space or `+`, and for a key that is not Ed25519. */
export function cosigner(name: string, key: KeyObject): Cosigner {
  if (name === '' || /[\s+]/u.test(name)) throw new TypeError('a witness name has no white space and no plus')
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('a witness signs with Ed25519')
  const { x } = createPublicKey(key).export({ format: 'jwk' })
  const typed = Buffer.concat([Buffer.of(cosignatureType), Buffer.from(x!, 'base64url')])
  const id = createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, 4)
  return {
    name,
    vkey: `${name}+${id.toString('hex')}+${typed.toString('base64')}`,
    cosign(text, time) {
      const stamp = Buffer.alloc(8)
      stamp.writeBigUInt64BE(BigInt(time))
      const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), key)
      return `\u2014 ${name} ${Buffer.concat([id, stamp, signature]).toString('base64')}\n`
    },
  }
}
