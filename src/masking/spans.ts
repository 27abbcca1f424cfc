/** A value to be masked: its range in a text and its kind. */
export interface Span {
  readonly start: number
  readonly end: number
  readonly kind: string
}

/** In order and apart: of spans that overlap one remains, over all of them, with the kind of the longest. */
export function mergeSpans(spans: readonly Span[]): readonly Span[] {
  if (spans.length < 2) return spans
  const merged: Span[] = []
  for (const span of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = merged.at(-1)
    if (last === undefined || span.start >= last.end) merged.push(span)
    else if (span.end > last.end) {
      const kind = span.end - span.start > last.end - last.start ? span.kind : last.kind
      merged[merged.length - 1] = { start: last.start, end: span.end, kind }
    }
  }
  return merged
}
