/**
 * The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677; channel binding
 * `tls-server-end-point`, RFC 5929 section 4), and PostgreSQL's MD5 answer.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { GatewayError } from '../../errors.ts'

const derive = promisify(pbkdf2)

/** A server may not make us hash for minutes. PostgreSQL's own default is 4096. */
const maxIterations = 1_000_000

export interface Scram {
  readonly mechanism: string
  /** client-first-message. */
  readonly first: string
  /** Takes the server-first-message, gives the client-final-message. Throws `upstream-invalid`. */
  answer(serverFirst: string): Promise<string>
  /** Takes the server-final-message. Throws unless the server has proved that it knows the password too. */
  verify(serverFinal: string): void
}

/**
 * Chooses the mechanism: with channel binding where the server offers it and there is TLS. `certificate`: the
 * server's, DER; absent without TLS. Throws where nothing that is offered is spoken here.
 */
export function startScram(
  offered: readonly string[],
  of: { readonly password: string; readonly certificate?: Buffer; readonly nonce?: string },
): Scram {
  const plus = of.certificate !== undefined && offered.includes('SCRAM-SHA-256-PLUS')
  if (!plus && !offered.includes('SCRAM-SHA-256')) {
    throw invalid(`the upstream offers only ${offered.join(', ').slice(0, 200)}`)
  }
  // `y`: we could bind, and the server does not offer it; it checks that this is so (RFC 5802 section 6).
  const flag = plus ? 'p=tls-server-end-point,,' : of.certificate === undefined ? 'n,,' : 'y,,'
  const binding = plus ? endpointHash(of.certificate) : Buffer.alloc(0)
  const nonce = of.nonce ?? randomBytes(18).toString('base64')
  const firstBare = `n=,r=${nonce}`
  let expected: Buffer | undefined
  return {
    mechanism: plus ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256',
    first: flag + firstBare,
    async answer(serverFirst) {
      const { r, s, i } = attributes(serverFirst)
      if (r === undefined || s === undefined || i === undefined)
        throw invalid('a SCRAM challenge without its parts')
      const iterations = Number(i)
      if (!r.startsWith(nonce) || r.length === nonce.length) throw invalid('a SCRAM nonce that is not ours')
      if (!Number.isSafeInteger(iterations) || iterations < 1 || iterations > maxIterations)
        throw invalid('a SCRAM iteration count out of range')
      const key = await derive(prepare(of.password), Buffer.from(s, 'base64'), iterations, 32, 'sha256')
      const clientKey = hmac(key, 'Client Key')
      const bound = Buffer.concat([Buffer.from(flag), binding]).toString('base64')
      const withoutProof = `c=${bound},r=${r}`
      const auth = `${firstBare},${serverFirst},${withoutProof}`
      const signature = hmac(createHash('sha256').update(clientKey).digest(), auth)
      const proof = Buffer.from(clientKey.map((byte, at) => byte ^ signature[at]!))
      expected = hmac(hmac(key, 'Server Key'), auth)
      return `${withoutProof},p=${proof.toString('base64')}`
    },
    verify(serverFinal) {
      const given = Buffer.from(attributes(serverFinal)['v'] ?? '', 'base64')
      if (expected === undefined || given.length !== expected.length || !timingSafeEqual(given, expected))
        throw invalid('the upstream could not prove that it knows the password')
    },
  }
}

/** AuthenticationMD5Password: `md5` and the MD5 of the MD5 of password and user, with the salt. */
export function md5Answer(user: string, password: string, salt: Buffer): string {
  const inner = createHash('md5')
    .update(password + user)
    .digest('hex')
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`
}

/** The certificate's hash by its own signature algorithm, SHA-256 where that is MD5 or SHA-1 (RFC 5929 section 4.1). */
function endpointHash(certificate: Buffer): Buffer {
  const named = signatureHash(certificate)
  return createHash(named).update(certificate).digest()
}

/** Object identifiers of signature algorithms that use another hash than SHA-256, DER, as they stand in a certificate. */
const otherHashes: readonly (readonly [string, string])[] = [
  ['06092a864886f70d01010c', 'sha384'], // sha384WithRSAEncryption
  ['06092a864886f70d01010d', 'sha512'], // sha512WithRSAEncryption
  ['06082a8648ce3d040303', 'sha384'], // ecdsa-with-SHA384
  ['06082a8648ce3d040304', 'sha512'], // ecdsa-with-SHA512
]

/** The algorithm of the signature stands right after the signed part; both are checked to be a certificate first. */
function signatureHash(certificate: Buffer): string {
  const whole = new X509Certificate(certificate).raw
  const outer = derHeader(whole, 0)
  const signed = derHeader(whole, outer.start)
  const algorithm = derHeader(whole, signed.end)
  const bytes = whole.subarray(algorithm.start, algorithm.end).toString('hex')
  return otherHashes.find(([oid]) => bytes.startsWith(oid))?.[1] ?? 'sha256'
}

function derHeader(bytes: Buffer, at: number): { start: number; end: number } {
  const first = bytes[at + 1]!
  if (first < 0x80) return { start: at + 2, end: at + 2 + first }
  const size = first & 0x7f
  const length = bytes.readUIntBE(at + 2, size)
  return { start: at + 2 + size, end: at + 2 + size + length }
}

/** SASLprep as far as PostgreSQL applies it to what is well-formed: NFKC (RFC 4013). ASCII stays as it is. */
function prepare(password: string): string {
  return password.normalize('NFKC')
}

function attributes(text: string): Record<string, string | undefined> {
  const found: Record<string, string | undefined> = Object.create(null)
  for (const part of text.split(',')) if (part[1] === '=') found[part[0]!] ??= part.slice(2)
  return found
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function invalid(detail: string): GatewayError {
  return new GatewayError('upstream-invalid', { detail: `login to the upstream: ${detail}` })
}
