/** Request bodies: read whole where a rule needs it, up to a limit, or passed on piece by piece. */
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib'
import { GatewayError } from '../../errors.ts'
import { readJson } from './json.ts'

const decoders: Readonly<Record<string, (bytes: Buffer, limit: number) => Promise<Buffer>>> = {
  gzip: (bytes, limit) => promisify(gunzip)(bytes, { maxOutputLength: limit }),
  'x-gzip': (bytes, limit) => promisify(gunzip)(bytes, { maxOutputLength: limit }),
  br: (bytes, limit) => promisify(brotliDecompress)(bytes, { maxOutputLength: limit }),
  zstd: (bytes, limit) => promisify(zstdDecompress)(bytes, { maxOutputLength: limit }),
  // What Datadog's clients call it.
  zstd1: (bytes, limit) => promisify(zstdDecompress)(bytes, { maxOutputLength: limit }),
  // "deflate" is zlib's format by RFC 9110 section 8.4.1.2, and raw deflate in the mouths of some clients.
  deflate: (bytes, limit) =>
    (bytes[0]! & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0
      ? promisify(inflate)(bytes, { maxOutputLength: limit })
      : promisify(inflateRaw)(bytes, { maxOutputLength: limit }),
}

/**
 * Reads a body whole. Throws `body-too-large` over `limit`, `request-timeout` after `timeoutMs`, `client-gone` where
 * the client leaves, `invalid-request` where its framing breaks.
 */
export function readWhole(
  request: IncomingMessage,
  bounds: { readonly limit: number; readonly timeoutMs: number },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => finish(new GatewayError('request-timeout')), bounds.timeoutMs)
    const finish = (error?: GatewayError): void => {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('close', onClose)
      if (error === undefined) resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size))
      else {
        request.pause()
        reject(error)
      }
    }
    const onData = (chunk: Buffer): void => {
      size += chunk.length
      if (size > bounds.limit) finish(new GatewayError('body-too-large', { detail: tooLarge(bounds.limit) }))
      else chunks.push(chunk)
    }
    const onEnd = (): void => finish()
    const onClose = (): void => finish(new GatewayError('client-gone'))
    request.on('data', onData).on('end', onEnd).on('close', onClose)
  })
}

function tooLarge(limit: number): string {
  return `a rule must read this body, and it is over ${limit} bytes`
}

/**
 * What conditions see of a body: parsed JSON, or a form's fields; undefined where it is neither. Throws
 * `unsupported-encoding` for what can't be decoded, `body-too-large` where it grows over the limit.
 */
export async function judgedBody(
  bytes: Buffer,
  meta: { readonly type: string | undefined; readonly encodings: readonly string[]; readonly limit: number },
): Promise<{ readonly value: unknown } | undefined> {
  let plain = bytes
  if (meta.encodings.length > 2) throw new GatewayError('unsupported-encoding')
  for (const encoding of meta.encodings.toReversed()) {
    const decode = decoders[encoding]
    if (decode === undefined || plain.length < 2) throw new GatewayError('unsupported-encoding')
    try {
      plain = await decode(plain, meta.limit)
    } catch (cause) {
      const grown = (cause as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
      throw new GatewayError(grown ? 'body-too-large' : 'invalid-request', {
        detail: grown ? tooLarge(meta.limit) : 'the body does not decode',
        cause,
      })
    }
  }
  if (plain.length === 0) return undefined
  if (/^application\/x-www-form-urlencoded\b/i.test(meta.type ?? '')) return formFields(plain)
  // Whatever the type says: many servers read JSON from `text/plain` or from no type at all.
  return readJson(plain)
}

/** Form fields by name, text each; undefined where a name is repeated, which servers resolve in different ways. */
function formFields(bytes: Buffer): { readonly value: unknown } | undefined {
  const fields: Record<string, string> = Object.create(null)
  for (const [name, value] of new URLSearchParams(bytes.toString('utf8'))) {
    if (name in fields) return undefined
    fields[name] = value
  }
  return { value: fields }
}
