/**
 * An object store that checks each call as Amazon S3 does: Signature Version 4 over what really arrived, the hash of
 * the body, the clock, the session token, and a write that must not replace anything. Written from AWS's documentation
 * ("Authenticating Requests: Using the Authorization Header"), with nothing of the library that signs.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type HttpReceiver, type Received, type ReceiverAnswer, startHttpReceiver } from './http-receiver.ts'

export interface S3Identity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface S3ReceiverOptions {
  readonly identity: S3Identity
  readonly region: string
  readonly bucket: string
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

export interface S3Receiver {
  readonly http: HttpReceiver
  /** By key, decoded. */
  readonly objects: ReadonlyMap<string, Buffer>
  /** Why calls were turned away, in order: S3's own error codes. */
  readonly errors: readonly string[]
}

export interface SignedCall {
  readonly method: string
  /** As it stood in the request line, with its query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Of the body, hex. */
  readonly payloadHash: string
}

export interface Credential {
  readonly accessKeyId: string
  /** `YYYYMMDD` */
  readonly date: string
  readonly region: string
  readonly service: string
}

/** The parts of an `Authorization` header; undefined for another scheme. */
export function parseAuthorization(header: string | undefined) {
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/.exec(
      header ?? '',
    )
  if (found === null) return undefined
  const [, accessKeyId, date, region, service, signed, signature] = found as unknown as string[]
  const credential: Credential = {
    accessKeyId: accessKeyId!,
    date: date!,
    region: region!,
    service: service!,
  }
  return { credential, signedHeaders: signed!.split(';'), signature: signature! }
}

/** The signature that this call must carry, hex. */
export function signatureOf(
  call: SignedCall,
  by: { readonly credential: Credential; readonly signedHeaders: readonly string[]; readonly secret: string },
): string {
  const { credential, signedHeaders, secret } = by
  const [path = '', query = ''] = call.path.split('?', 2)
  const headers = signedHeaders.map(name => `${name}:${headerOf(call.headers, name)}\n`).join('')
  const canonical = [
    call.method,
    canonicalPath(path),
    canonicalQuery(query),
    headers,
    signedHeaders.join(';'),
    call.payloadHash,
  ].join('\n')
  const { date, region, service } = credential
  const scope = `${date}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', headerOf(call.headers, 'x-amz-date'), scope, sha256(canonical)].join(
    '\n',
  )
  const key = [date, region, service, 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${secret}`)
  return hmac(key, toSign).toString('hex')
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function headerOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name]
  return (Array.isArray(value) ? value.join(',') : (value ?? '')).trim().replaceAll(/ +/g, ' ')
}

/** AWS's `UriEncode`: everything but unreserved characters, each byte as `%XY` in capitals. */
function uriEncode(text: string): string {
  return [...Buffer.from(text)]
    .map(byte => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9._~-]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}

/** For S3: each segment encoded once, nothing normalised. */
function canonicalPath(path: string): string {
  return path
    .split('/')
    .map(segment => uriEncode(decodeURIComponent(segment)))
    .join('/')
}

function canonicalQuery(query: string): string {
  if (query === '') return ''
  const pairs = query.split('&').map(pair => {
    const [name = '', value = ''] = pair.split('=', 2)
    return [uriEncode(decodeURIComponent(name)), uriEncode(decodeURIComponent(value))] as const
  })
  const ordered = pairs.toSorted(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
  return ordered.map(pair => pair.join('=')).join('&')
}

/** Headers that a signature must cover, beside every `x-amz-` header that is there. */
const always = ['host', 'content-type', 'if-none-match', 'x-amz-content-sha256', 'x-amz-date']
const skewMs = 15 * 60_000

/** S3's error code, or undefined where the call is in order. */
function faultOf(
  call: Received,
  options: S3ReceiverOptions,
): readonly [status: number, code: string] | undefined {
  const { identity, region, now = Date.now } = options
  const { headers } = call
  const given = parseAuthorization(headers.authorization)
  if (given === undefined) return [403, 'AccessDenied']
  const { credential, signedHeaders, signature } = given
  if (credential.accessKeyId !== identity.accessKeyId) return [403, 'InvalidAccessKeyId']
  if (credential.region !== region || credential.service !== 's3')
    return [400, 'AuthorizationHeaderMalformed']
  const stamp = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(headerOf(headers, 'x-amz-date'))
  if (stamp === null || stamp.slice(1, 4).join('') !== credential.date) return [403, 'AccessDenied']
  const [, year, month, day, hour, minute, second] = stamp.map(Number) as [number, ...number[]]
  const at = Date.UTC(year!, month! - 1, day, hour, minute, second)
  if (Math.abs(at - now()) > skewMs) return [403, 'RequestTimeTooSkewed']
  const needed = [...always, ...Object.keys(headers).filter(name => name.startsWith('x-amz-'))]
  if (needed.some(name => headers[name] !== undefined && !signedHeaders.includes(name)))
    return [403, 'AccessDenied']
  const payloadHash = headerOf(headers, 'x-amz-content-sha256')
  const expected = signatureOf(
    { method: call.method, path: call.path, headers, payloadHash },
    { credential, signedHeaders, secret: identity.secretAccessKey },
  )
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(signature))) return [403, 'SignatureDoesNotMatch']
  if (payloadHash !== sha256(call.body)) return [400, 'XAmzContentSHA256Mismatch']
  if (headers['x-amz-security-token'] !== identity.sessionToken) return [400, 'InvalidToken']
  return undefined
}

export async function startS3Receiver(options: S3ReceiverOptions): Promise<S3Receiver> {
  const objects = new Map<string, Buffer>()
  const errors: string[] = []
  const refuse = (status: number, code: string): ReceiverAnswer => {
    errors.push(code)
    const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>no</Message></Error>`
    return { status, headers: { 'content-type': 'application/xml' }, body }
  }
  const http = await startHttpReceiver(call => {
    const fault = faultOf(call, options)
    if (fault !== undefined) return refuse(...fault)
    const [, bucket, ...rest] = call.path.split('/')
    if (bucket !== options.bucket) return refuse(404, 'NoSuchBucket')
    if (call.method !== 'PUT') return refuse(501, 'NotImplemented')
    const key = decodeURIComponent(rest.join('/'))
    if (call.headers['if-none-match'] === '*' && objects.has(key)) return refuse(412, 'PreconditionFailed')
    objects.set(key, call.body)
    return { status: 200, headers: { etag: `"${createHash('md5').update(call.body).digest('hex')}"` } }
  })
  return { http, objects, errors }
}
