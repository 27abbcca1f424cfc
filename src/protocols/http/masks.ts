/** Masks as HTTP needs them: two maskers as one, a head for the record, and the merging of reports. */
import type { Masker, MaskReport } from '../../masking/masker.ts'
import { fieldText } from './headers.ts'
import type { RequestHead } from './request.ts'

export const nothingMasked: MaskReport = { count: 0, kinds: [] }

export function mergeReports(a: MaskReport, b: MaskReport): MaskReport {
  if (a.count === 0) return b
  if (b.count === 0) return a
  return { count: a.count + b.count, kinds: [...new Set([...a.kinds, ...b.kinds])].toSorted() }
}

/** Applies the first, then the second. */
export function bothMaskers(first: Masker, second: Masker): Masker {
  if (first.idle) return second
  if (second.idle) return first
  return {
    idle: false,
    body(body, meta) {
      const one = first.body(body, meta)
      const two = second.body(one.body, { type: meta.type, encodings: one.encodings })
      return {
        body: two.body,
        encodings: two.encodings,
        altered: one.altered || two.altered,
        report: () => mergeReports(one.report(), two.report()),
      }
    },
    header: (name, value) => second.header(name, first.header(name, value)),
    parameter: (name, value) => second.parameter(name, first.parameter(name, value)),
    text: text => second.text(first.text(text)),
    json: value => second.json(first.json(value)),
    takeReport: () => mergeReports(first.takeReport(), second.takeReport()),
  }
}

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
