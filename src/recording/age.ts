/**
 * The age file format, version 1 (C2SP age, https://c2sp.org/age): X25519 recipients, and the payload's STREAM of
 * 64 KiB ChaCha20-Poly1305 chunks.
 *
 * It is written here on Node's primitives, rather than taken from a library, for one reason: the header (the wrapped
 * file key) is kept apart from the payload, and one header serves all payloads of a session. Header followed by any
 * of its payloads is a complete age file that the `age` tool opens; deleting the header makes every payload of the
 * session unreadable for good, while their hashes, and so the proofs in the log, stay valid.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { freshBytes } from '../random.ts'
import { sha256 } from '../sha256.ts'
import { bech32Decode, bech32Encode } from './bech32.ts'

const intro = 'age-encryption.org/v1\n'
const chunkSize = 64 * 1024
const tagSize = 16
/** Bytes of nonce that a payload begins with. */
export const nonceBytes = 16
/** RFC 5869 section 2.2: a salt that is not given is a hash's length of zeros. */
const noSalt = Buffer.alloc(32)
/** DER prefixes that make raw X25519 keys readable to Node. */
const spki = Buffer.from('302a300506032b656e032100', 'hex')
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex')

export interface AgeKeyPair {
  /** `age1...`: encrypts, can't read. */
  readonly recipient: string
  /** `AGE-SECRET-KEY-1...`: reads. */
  readonly identity: string
}

export function generateAgeKeyPair(): AgeKeyPair {
  const { privateKey } = generateKeyPairSync('x25519')
  const raw = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(pkcs8.length)
  const identity = bech32Encode('age-secret-key-', raw).toUpperCase()
  return { identity, recipient: recipientOf(identity) }
}

/** The public half of an identity. */
export function recipientOf(identity: string): string {
  return bech32Encode('age', publicBytes(createPublicKey(privateKeyOf(identity))))
}

/** Makes a fresh 16-byte file key and its header for the given recipients. */
export function createHeader(recipients: readonly string[]): { fileKey: Buffer; header: Buffer } {
  const fileKey = randomBytes(16)
  let text = intro
  for (const recipient of recipients) {
    const theirs = bech32Decode('age', recipient)
    if (theirs.length !== 32) throw new TypeError('not an age recipient')
    const ephemeral = generateKeyPairSync('x25519')
    const share = publicBytes(ephemeral.publicKey)
    const secret = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: publicKeyOf(theirs) })
    const wrapKey = derive(secret, Buffer.concat([share, theirs]), 'age-encryption.org/v1/X25519')
    const body = sealOnce(createSecretKey(wrapKey), Buffer.alloc(12), fileKey)
    text += `-> X25519 ${base64(share)}\n${base64(body)}\n`
  }
  text += '---'
  const mac = headerMac(fileKey, text)
  return { fileKey, header: Buffer.from(`${text} ${base64(mac)}\n`) }
}

/** Recovers the file key. Throws TypeError when the identity is none of the recipients or the header was changed. */
export function openHeader(header: Buffer, identity: string): Buffer {
  const text = header.toString('latin1')
  const end = text.lastIndexOf('\n--- ')
  if (!text.startsWith(intro) || end < 0) throw new TypeError('not an age header')
  const privateKey = privateKeyOf(identity)
  const ours = publicBytes(createPublicKey(privateKey))
  const lines = text.slice(intro.length, end).split('\n')
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const share = Buffer.from(/^-> X25519 (\S{43})$/.exec(lines[i]!)?.[1] ?? '', 'base64')
    if (share.length !== 32) continue
    const secret = diffieHellman({ privateKey, publicKey: publicKeyOf(share) })
    const wrapKey = derive(secret, Buffer.concat([share, ours]), 'age-encryption.org/v1/X25519')
    const fileKey = openOnce(wrapKey, Buffer.alloc(12), Buffer.from(lines[i + 1]!, 'base64'))
    if (fileKey === undefined) continue
    const mac = headerMac(fileKey, text.slice(0, end + 4))
    if (!timingSafeEqual(mac, Buffer.from(text.slice(end + 5), 'base64').subarray(0, 32))) break
    return fileKey
  }
  throw new TypeError('this identity does not open this header')
}

/** Encrypts one payload piece by piece; `nonce` first, then what `update` and `final` return. */
export class PayloadSealer {
  readonly nonce: Buffer = freshBytes(nonceBytes)
  readonly #extracted: Buffer
  readonly #key: KeyObject
  #counter = 0
  #held: Buffer[] = []
  #size = 0

  constructor(fileKey: Buffer) {
    this.#extracted = extract(fileKey, this.nonce)
    this.#key = createSecretKey(expand(this.#extracted, 'payload'))
  }

  /** As `derive` from the file key and the nonce. */
  derive(info: string): Buffer {
    return expand(this.#extracted, info)
  }

  /** Takes plaintext; returns whatever ciphertext chunks are complete. */
  update(bytes: Buffer): Buffer[] {
    this.#held.push(bytes)
    this.#size += bytes.length
    if (this.#size <= chunkSize) return []
    const all = Buffer.concat(this.#held, this.#size)
    const out: Buffer[] = []
    let at = 0
    // The last chunk must be marked as such, so a full chunk waits until more bytes are known to follow.
    for (; all.length - at > chunkSize; at += chunkSize)
      out.push(this.#seal(all.subarray(at, at + chunkSize), 0))
    this.#held = [all.subarray(at)]
    this.#size = all.length - at
    return out
  }

  final(): Buffer {
    return this.#seal(Buffer.concat(this.#held, this.#size), 1)
  }

  #seal(chunk: Buffer, last: 0 | 1): Buffer {
    return sealOnce(this.#key, chunkNonce(this.#counter++, last), chunk)
  }
}

/** Decrypts a whole payload (nonce and chunks). Throws TypeError when a byte was changed, cut off or added. */
export function openPayload(fileKey: Buffer, payload: Buffer): Buffer {
  const key = derive(fileKey, payload.subarray(0, nonceBytes), 'payload')
  const out: Buffer[] = []
  let at = nonceBytes
  for (let counter = 0; ; counter++) {
    const end = Math.min(at + chunkSize + tagSize, payload.length)
    const last = end === payload.length
    const chunk = openOnce(key, chunkNonce(counter, last ? 1 : 0), payload.subarray(at, end))
    if (chunk === undefined) throw new TypeError('the payload was changed or cut')
    out.push(chunk)
    at = end
    if (last) return Buffer.concat(out)
  }
}

function headerMac(fileKey: Buffer, text: string): Buffer {
  return hmac(derive(fileKey, noSalt, 'header'), Buffer.from(text, 'latin1'))
}

function chunkNonce(counter: number, last: 0 | 1): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(counter, 5, 6)
  nonce[11] = last
  return nonce
}

function sealOnce(key: KeyObject, nonce: Buffer, plaintext: Buffer): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: tagSize })
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

function openOnce(key: Buffer, nonce: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < tagSize) return undefined
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: tagSize })
  decipher.setAuthTag(sealed.subarray(sealed.length - tagSize))
  const plaintext = decipher.update(sealed.subarray(0, sealed.length - tagSize))
  try {
    decipher.final()
    return plaintext
  } catch {
    return undefined
  }
}

/**
 * HKDF-SHA256 (RFC 5869) to 32 bytes, which is one block of its expansion. Written out because sealing needs it for
 * each action, and `hkdfSync` takes twice as long.
 */
export function derive(secret: Buffer, salt: Buffer, info: string): Buffer {
  return expand(extract(secret, salt), info)
}

/** RFC 5869 section 2.2. */
function extract(secret: Buffer, salt: Buffer): Buffer {
  return hmac(salt.length === 0 ? noSalt : salt, secret)
}

/** RFC 5869 section 2.3, one block. */
function expand(extracted: Buffer, info: string): Buffer {
  return hmac(extracted, Buffer.from(`${info}\x01`))
}

const blockBytes = 64

/**
 * HMAC-SHA256 (RFC 2104) of what is in memory whole, under a key of at most 64 bytes. Everything is hashed in one
 * call: `createHmac` makes three objects of the library's first, which costs more than to hash a recording.
 */
export function hmac(key: Buffer, bytes: Buffer): Buffer {
  if (key.length > blockBytes) throw new TypeError('the key is longer than a block')
  const inner = Buffer.alloc(blockBytes + bytes.length, 0x36)
  const outer = Buffer.alloc(blockBytes + 32, 0x5c)
  for (let i = 0; i < key.length; i++) {
    inner[i] = key[i]! ^ 0x36
    outer[i] = key[i]! ^ 0x5c
  }
  inner.set(bytes, blockBytes)
  outer.set(sha256(inner), blockBytes)
  return sha256(outer)
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

function publicBytes(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(spki.length)
}

function publicKeyOf(raw: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([spki, raw]), format: 'der', type: 'spki' })
}

function privateKeyOf(identity: string): KeyObject {
  const raw = bech32Decode('age-secret-key-', identity.trim())
  if (raw.length !== 32) throw new TypeError('not an age identity')
  return createPrivateKey({ key: Buffer.concat([pkcs8, raw]), format: 'der', type: 'pkcs8' })
}
