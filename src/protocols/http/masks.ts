/** Masks as HTTP needs them: of queries, headers, and a head for the record. */
import type { Masker } from '../../masking/masker.ts'
import { fieldText } from './headers.ts'
import type { RequestHead } from './request.ts'

/** A body that is all here. */
export async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  if (bytes.length > 0) yield bytes
}

/** The query, its values masked where the masker touches them; what it leaves alone keeps its bytes. */
export function maskedQuery(head: RequestHead, masker: Masker | undefined): string[] {
  if (masker === undefined || masker.idle) return head.query.map(part => part.raw)
  return head.query.map(({ raw, name, value }) => {
    const masked = masker.parameter(name, value)
    return masked === value ? raw : `${encodeURIComponent(name)}=${encodeURIComponent(masked)}`
  })
}

/** Flat header lines, masked. */
export function maskedHeaders(headers: readonly string[], masker: Masker): string[] {
  const out = [...headers]
  if (masker.idle) return out
  for (let i = 0; i < out.length; i += 2) {
    out[i + 1] = fieldText(masker.header(out[i]!.toLowerCase(), out[i + 1]!))
  }
  return out
}

/** The request's head as it is recorded; `resource` in place of a path that holds a secret. */
export function recordedRequest(head: RequestHead, masker: Masker, resource: string | undefined): Buffer {
  const query = maskedQuery(head, masker)
  const path = resource ?? (masker.idle ? head.path : masker.text(head.path))
  return Buffer.from(
    JSON.stringify({
      http: head.version,
      method: head.method,
      target: query.length === 0 ? path : `${path}?${query.join('&')}`,
      headers: maskedHeaders(head.headers, masker),
    }),
  )
}
