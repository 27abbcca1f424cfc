import { Fragment, memo, type ReactNode } from 'react'
import { visibleLines } from './visible.ts'

/** A value that was taken out, or one that a keyed hash stands for: equal values have equal hashes. */
const mask = /\[(masked|hash):([^\]\s]{1,80})\]/g

/** Text in which every mask stands out as one. */
export function masked(text: string): ReactNode {
  const masks = [...text.matchAll(mask)]
  if (masks.length === 0) return text
  let at = 0
  const parts = masks.map((found, index) => {
    const before = text.slice(at, found.index)
    const [whole, way, kind] = found
    at = found.index + whole.length
    return (
      <Fragment key={index}>
        {before}
        <em
          className="mask"
          title={`${way === 'hash' ? 'Hashed' : 'Masked'} (${kind}): neither the client nor the recording has it`}
        >
          {whole}
        </em>
      </Fragment>
    )
  })
  return (
    <>
      {parts}
      {text.slice(at)}
    </>
  )
}

/** One token at a time, each alternative linear: a string (and whether it is a key), a number, a word. */
const token = /"(?:[^"\\]|\\.)*"(\s*:)?|-?\d[\d.eE+-]*|\b(?:true|false|null)\b/g
/** Beyond it text is shown plain: a span for each token of a large body would stall the page. */
const mostColoured = 150_000

function coloured(text: string): ReactNode {
  if (text.length > mostColoured) return masked(text)
  const parts: ReactNode[] = []
  let at = 0
  for (const found of text.matchAll(token)) {
    const [whole, isKey] = found
    if (found.index > at) parts.push(masked(text.slice(at, found.index)))
    const kind = whole.startsWith('"') ? (isKey === undefined ? 'text' : 'key') : 'literal'
    parts.push(
      <span key={found.index} className={kind}>
        {masked(whole)}
      </span>,
    )
    at = found.index + whole.length
  }
  parts.push(masked(text.slice(at)))
  return parts.map((part, index) => <Fragment key={index}>{part}</Fragment>)
}

/** A block of text as it is, scrolled where it is long. JSON is coloured. */
export const Code = memo(function Code({
  text,
  label,
  json = false,
}: {
  readonly text: string
  readonly label: string
  readonly json?: boolean
}) {
  const shown = visibleLines(text)
  return (
    <pre className="code" tabIndex={0} role="region" aria-label={label}>
      {json ? coloured(shown) : masked(shown)}
    </pre>
  )
})

/** Of ES2025, while the type declarations lack it. */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON?: (text: string) => unknown }

/** JSON indented, every number in its own digits: `JSON.parse` alone would round what is over 2^53. Else undefined. */
export function prettyJson(text: string): string | undefined {
  try {
    const exact = JSON.parse(text, function (_key, value: unknown, context?: { source?: string }) {
      return typeof value === 'number' && context?.source !== undefined && rawJson !== undefined
        ? rawJson(context.source)
        : value
    } as (key: string, value: unknown) => unknown) as unknown
    return JSON.stringify(exact, null, 2)
  } catch {
    return undefined
  }
}

/** A value as indented JSON. */
export function JsonCode({ value, label }: { readonly value: unknown; readonly label: string }) {
  return <Code json text={JSON.stringify(value, null, 2) ?? ''} label={label} />
}
