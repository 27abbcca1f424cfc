/** Two maskers as one, and their reports. */
import type { Masker, MaskReport } from './masker.ts'

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
    rules: {},
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
