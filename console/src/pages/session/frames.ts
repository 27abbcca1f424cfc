import type { Frame, ReplayedAction } from '../../api/views.ts'

/** The first part of a side's message: a request line or statement, or a status; names and values in turn. */
export interface Head {
  readonly method?: string
  readonly target?: string
  readonly path?: string
  readonly status?: number | string
  readonly reason?: string
  readonly headers?: readonly string[]
}

/** What one side sent without a break: pieces of one body are together. */
export interface Piece {
  readonly from: Frame['from']
  readonly part: Frame['part']
  /** Microseconds since the action began. */
  readonly at: number
  readonly bytes: Uint8Array
}

function bytesOf({ text, base64 = '' }: Frame): Uint8Array {
  if (text !== undefined) return new TextEncoder().encode(text)
  return Uint8Array.from(atob(base64), each => each.charCodeAt(0))
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, each) => sum + each.length, 0))
  let at = 0
  for (const each of parts) {
    whole.set(each, at)
    at += each.length
  }
  return whole
}

export function piecesOf(frames: readonly Frame[]): readonly Piece[] {
  const groups: { readonly first: Frame; readonly parts: Uint8Array[] }[] = []
  for (const frame of frames) {
    const last = groups.at(-1)
    const goesOn = last?.first.from === frame.from && last.first.part === 'body' && frame.part === 'body'
    if (goesOn) last.parts.push(bytesOf(frame))
    else groups.push({ first: frame, parts: [bytesOf(frame)] })
  }
  return groups.map(({ first: { from, part, at }, parts }) => ({ from, part, at, bytes: joined(parts) }))
}

/** Undefined where the bytes are not UTF-8, or hold what no text does. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

export function headOf(piece: Piece): Head {
  try {
    return JSON.parse(textOf(piece.bytes) ?? '{}') as Head
  } catch {
    return {}
  }
}

export function pairsOf(headers: readonly string[] = []): readonly (readonly [string, string])[] {
  return headers.flatMap((name, index) =>
    index % 2 === 0 ? [[name, headers[index + 1] ?? ''] as const] : [],
  )
}

export function headerOf(head: Head | undefined, wanted: string): string | undefined {
  return pairsOf(head?.headers).find(([name]) => name.toLowerCase() === wanted)?.[1]
}

const unpackers: Readonly<Record<string, ConstructorParameters<typeof DecompressionStream>[0]>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
}

/** Most bytes that a body is unpacked to for reading. */
const mostUnpacked = 16 * 1024 * 1024

/** A body as it can be read: unpacked where the browser knows how. Undefined: it doesn't, or it is cut. */
export async function unpack(bytes: Uint8Array, encoding: string): Promise<Uint8Array | undefined> {
  const format = unpackers[encoding.trim().toLowerCase()]
  if (format === undefined) return undefined
  try {
    const stream = new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream(format))
    const parts: Uint8Array[] = []
    let size = 0
    const reader = stream.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return joined(parts)
      size += value.length
      if (size > mostUnpacked) {
        await reader.cancel()
        return joined(parts)
      }
      parts.push(value)
    }
  } catch {
    return undefined
  }
}

/** Quoted for a POSIX shell. */
function quote(text: string): string {
  return /^[A-Za-z]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

const repeated = /^(?:content-type|accept|prefer)$/i

/**
 * The same request again, through the gateway: address and token are left to the shell. Undefined for what is no HTTP.
 * What is in it came from an agent: nothing of it may act on the shell.
 */
export function curlOf({ entry, frames = [] }: ReplayedAction): string | undefined {
  const pieces = piecesOf(frames)
  const first = pieces.find(({ from, part }) => from === 'client' && part === 'head')
  const head = first && headOf(first)
  const target = head?.target ?? head?.path
  if (head?.method === undefined || target === undefined || !target.startsWith('/')) return undefined
  const body =
    pieces.find(({ from, part }) => from === 'client' && part === 'body')?.bytes ?? new Uint8Array()
  const text = textOf(body)
  // A shell can't hold every byte in an argument. What is compressed is so still; what was masked is text.
  const pipe = text === undefined ? `echo ${btoa(binary(body))} | base64 -d | ` : ''
  const data = text === undefined ? ['--data-binary @-'] : text === '' ? [] : [`--data-raw ${quote(text)}`]
  const lines = [
    `${pipe}curl -sS -X ${quote(head.method)} "$SALLYPORT_URL/c/${entry.connection?.name ?? ''}"${quote(target)}`,
    '-H "Authorization: Bearer $SALLYPORT_TOKEN"',
    ...pairsOf(head.headers)
      .filter(
        ([name]) => repeated.test(name) || (text === undefined && name.toLowerCase() === 'content-encoding'),
      )
      .map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`),
    ...data,
  ]
  return lines.join(' \\\n  ')
}

function binary(bytes: Uint8Array): string {
  let out = ''
  for (const byte of bytes) out += String.fromCharCode(byte)
  return out
}
