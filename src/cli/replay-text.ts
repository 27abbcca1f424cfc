import { isUtf8 } from 'node:buffer'
import type { Entry } from '../audit/events.ts'
import { unpacked } from '../protocols/http/unpack.ts'
import { paint } from './output.ts'
import { isResult, resultText } from './result-text.ts'

export interface ReplayedAction {
  readonly entry: Entry
  readonly frames?: readonly ReplayFrame[]
  readonly unavailable?: string
}

export interface ReplayFrame {
  readonly from: 'client' | 'upstream'
  readonly part: 'head' | 'body' | 'message'
  /** Microseconds since the action began. */
  readonly at: number
  readonly text?: string
  readonly base64?: string
}

interface Head {
  readonly method?: string
  readonly target?: string
  readonly path?: string
  readonly status?: number | string
  /** Names and values in turn, in the order they came. */
  readonly headers?: readonly string[]
}

/** An exchange for reading: heads, bodies with JSON indented, and when each came. */
export function replayText({ frames, unavailable }: ReplayedAction): string {
  if (frames === undefined) return paint('dim', `  ${unavailable ?? 'nothing was recorded'}`)
  const out: string[] = []
  const encodings: { client?: string | undefined; upstream?: string | undefined } = {}
  const groups = grouped(frames)
  let inResult = false
  for (const [index, { from, part, at, bytes }] of groups.entries()) {
    const arrow = from === 'client' ? paint('cyan', '>') : paint('green', '<')
    const when = paint('dim', `+${(at / 1000).toFixed(1)} ms`)
    const head = part === 'head' ? (parse(bytes.toString('utf8')) as Head | undefined) : undefined
    if (part === 'head') {
      encodings[from] = encodingOf(bytes.toString('utf8'))
      inResult = from === 'upstream' && isResult(head)
    } else if (inResult && from === 'upstream') continue
    const text = inResult
      ? resultText(
          pairs(head?.headers).map(([name]) => name),
          rowsAfter(groups, index),
        )
      : part === 'head'
        ? headText(bytes.toString('utf8'))
        : readable(bytes, encodings[from])
    out.push(...text.split('\n').map((line, i) => `  ${arrow} ${line}${i === 0 ? `  ${when}` : ''}`))
  }
  return out.join('\n')
}

/** The rows under a head that names columns: what came up to the next head. */
function rowsAfter(groups: readonly Group[], index: number): string {
  const rest = groups.slice(index + 1).filter(({ from }) => from === 'upstream')
  const next = rest.findIndex(({ part }) => part === 'head')
  const rows = next < 0 ? rest : rest.slice(0, next)
  return rows.map(({ bytes }) => bytes.toString('utf8')).join('')
}

function encodingOf(head: string): string | undefined {
  return pairs((parse(head) as Head | undefined)?.headers).find(([name]) =>
    /^content-encoding$/i.test(name),
  )?.[1]
}

/** The same request again, to the gateway: the base address and the token are left to the shell. */
export function curlCommand({ entry, frames = [] }: ReplayedAction): string {
  const groups = grouped(frames)
  const head = parse(
    groups.find(group => group.from === 'client' && group.part === 'head')?.bytes.toString('utf8') ?? '{}',
  ) as Head
  const { bytes, isText } = clientBody(frames)
  const method = head.method ?? 'GET'
  const target = head.target ?? head.path ?? entry.resource ?? '/'
  // A shell can't hold every byte in an argument.
  const pipe = isText ? '' : `echo ${bytes.toString('base64')} | base64 -d | `
  const parts = [
    `${pipe}curl -sS -X ${quote(method)} "$SALLYPORT_URL/c/${entry.connection?.name ?? ''}"${quote(target)}`,
  ]
  parts.push('-H "Authorization: Bearer $SALLYPORT_TOKEN"')
  for (const [name, value] of pairs(head.headers)) {
    // A compressed body is recorded as it came only where nothing was masked in it; else it is text here.
    if (/^(content-type|accept|prefer)$/i.test(name) || (!isText && /^content-encoding$/i.test(name)))
      parts.push(`-H ${quote(`${name}: ${value}`)}`)
  }
  if (bytes.length > 0)
    parts.push(isText ? `--data-raw ${quote(bytes.toString('utf8'))}` : '--data-binary @-')
  return parts.join(' \\\n  ')
}

/** What the client sent as its body, whole. */
function clientBody(frames: readonly ReplayFrame[]): { readonly bytes: Buffer; readonly isText: boolean } {
  const sent = frames.filter(({ from, part }) => from === 'client' && part === 'body')
  const bytes = Buffer.concat(
    sent.map(({ text, base64 = '' }) =>
      text === undefined ? Buffer.from(base64, 'base64') : Buffer.from(text),
    ),
  )
  return { bytes, isText: isUtf8(bytes) && !bytes.includes(0) }
}

interface Group {
  readonly from: ReplayFrame['from']
  readonly part: ReplayFrame['part']
  readonly at: number
  bytes: Buffer
}

/** Pieces of one body joined. */
function grouped(frames: readonly ReplayFrame[]): Group[] {
  const groups: Group[] = []
  for (const { from, part, at, text, base64 = '' } of frames) {
    const last = groups.at(-1)
    const bytes = text === undefined ? Buffer.from(base64, 'base64') : Buffer.from(text)
    const goesOn = last !== undefined && last.from === from && last.part === part && part === 'body'
    if (goesOn) last.bytes = Buffer.concat([last.bytes, bytes])
    else groups.push({ from, part, at, bytes })
  }
  return groups
}

/** A body for reading: what was compressed on the wire is shown unpacked, what is no text as base64. */
function readable(bytes: Buffer, encoding: string | undefined): string {
  const plain = unpacked(bytes, encoding)
  return isUtf8(plain) && !plain.includes(0)
    ? bodyText(plain.toString('utf8'))
    : `(binary, base64) ${plain.toString('base64')}`
}

function headText(text: string): string {
  const head = parse(text) as Head | undefined
  if (head === undefined) return text
  const first =
    head.method === undefined ? `${head.status ?? ''}` : `${head.method} ${head.target ?? head.path ?? ''}`
  return [
    paint('bold', first),
    ...pairs(head.headers).map(([name, value]) => paint('dim', `${name}: ${value}`)),
  ].join('\n')
}

function pairs(headers: readonly string[] = []): (readonly [string, string])[] {
  return headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1] ?? ''] as const] : []))
}

/** JSON indented, every number in its own digits: `JSON.parse` alone would round what is over 2^53. */
function bodyText(text: string): string {
  try {
    const exact = JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
      typeof value === 'number' && context?.source !== undefined ? rawJson(context.source) : value,
    ) as unknown
    return JSON.stringify(exact, null, 2)
  } catch {
    return text
  }
}

/** Of ES2026 and in V8 already, while the type declarations lack it. */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown }

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** Quoted for a POSIX shell. */
function quote(text: string): string {
  return /^[A-Za-z]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
