/** A value to be masked: its range in a text and its kind. */
export interface Span {
  readonly start: number
  readonly end: number
  readonly kind: string
}

/** In order and apart: of spans that overlap one remains, over all of them, with the kind of the longest; an
 * address that holds a secret is a secret. */
export function mergeSpans(spans: readonly Span[]): readonly Span[] {
  if (spans.length < 2) return spans
  const merged: Span[] = []
  for (const span of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = merged.at(-1)
    if (last === undefined || span.start >= last.end) merged.push(span)
    else if (span.end <= last.end) {
      if (last.kind === 'email') merged[merged.length - 1] = { ...last, kind: span.kind }
    } else {
      const longer = span.end - span.start > last.end - last.start
      const kind = last.kind === 'email' || (longer && span.kind !== 'email') ? span.kind : last.kind
      merged[merged.length - 1] = { start: last.start, end: span.end, kind }
    }
  }
  return merged
}
