import { isUtf8 } from 'node:buffer'
import type { Entry } from '../audit/events.ts'
import { paint } from './output.ts'

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
  readonly status?: number
  /** Names and values in turn, in the order they came. */
  readonly headers?: readonly string[]
}

/** An exchange for reading: heads, bodies with JSON indented, and when each came. */
export function replayText({ frames, unavailable }: ReplayedAction): string {
  if (frames === undefined) return paint('dim', `  ${unavailable ?? 'nothing was recorded'}`)
  const out: string[] = []
  for (const group of grouped(frames)) {
    const arrow = group.from === 'client' ? paint('cyan', '>') : paint('green', '<')
    const at = paint('dim', `+${(group.at / 1000).toFixed(1)} ms`)
    const text = group.part === 'head' ? headText(group.text) : bodyText(group.text)
    out.push(...text.split('\n').map((line, i) => `  ${arrow} ${line}${i === 0 ? `  ${at}` : ''}`))
  }
  return out.join('\n')
}

/** The same request again, to the gateway: the base address and the token are left to the shell. */
export function curlCommand({ entry, frames = [] }: ReplayedAction): string {
  const groups = grouped(frames)
  const head = parse(
    groups.find(group => group.from === 'client' && group.part === 'head')?.text ?? '{}',
  ) as Head
  const { bytes, isText } = clientBody(frames)
  const method = head.method ?? 'GET'
  const target = head.target ?? head.path ?? entry.resource ?? '/'
  // A shell can't hold every byte in an argument.
  const pipe = isText ? '' : `echo ${bytes.toString('base64')} | base64 -d | `
  const parts = [
    `${pipe}curl -sS -X ${method} "$SALLYPORT_URL/c/${entry.connection?.name ?? ''}"${quote(target)}`,
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
  text: string
}

/** Pieces of one body joined. */
function grouped(frames: readonly ReplayFrame[]): Group[] {
  const groups: Group[] = []
  for (const { from, part, at, text, base64 } of frames) {
    const last = groups.at(-1)
    const shown = text ?? `(binary, base64) ${base64 ?? ''}`
    if (last !== undefined && last.from === from && last.part === part && part === 'body') last.text += shown
    else groups.push({ from, part, at, text: shown })
  }
  return groups
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

function bodyText(text: string): string {
  const json = parse(text)
  return json === undefined ? text : JSON.stringify(json, null, 2)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** Quoted for a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
