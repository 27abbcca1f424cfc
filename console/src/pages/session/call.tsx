import type { EntryView } from '../../api/views.ts'
import { Badge } from '../../parts/badge.tsx'
import { Code, JsonCode, masked, prettyJson } from '../../parts/code.tsx'
import { Facts, Panel } from '../../parts/page.tsx'
import { visible } from '../../parts/visible.ts'
import { At } from './at.tsx'
import { type Piece, textOf } from './frames.ts'

type Fields = Readonly<Record<string, unknown>>

/** A JSON-RPC message of a recording: a call, or what came back. */
export interface Message {
  readonly method?: string
  readonly params?: Fields
  readonly result?: Fields
  readonly error?: { readonly code?: number; readonly message?: string; readonly data?: unknown }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

/** Undefined for what is no such message: it is shown as it came. */
export function messageOf(piece: Piece): Message | undefined {
  if (piece.part !== 'message') return undefined
  try {
    const found = fieldsOf(JSON.parse(textOf(piece.bytes) ?? ''))
    return found['jsonrpc'] === '2.0' ? (found as Message) : undefined
  } catch {
    return undefined
  }
}

/** One message as people read it: arguments, result, error; the rest of it is one click away. */
export function CallPanel({
  message,
  piece,
  entry,
}: {
  readonly message: Message
  readonly piece: Piece
  readonly entry: EntryView
}) {
  const { method, params, result, error } = message
  if (method !== undefined) return <Asked method={method} params={params ?? {}} piece={piece} entry={entry} />
  if (error !== undefined)
    return (
      <Panel title={<Titled text="Answered" badge="error" />} tools={<At at={piece.at} />}>
        <div className="stack">
          <p>
            <code>{String(error.code ?? '')}</code> {masked(visible(error.message ?? ''))}
          </p>
          {error.data !== undefined && <JsonCode value={error.data} label="Data of the error" />}
        </div>
      </Panel>
    )
  return <Result result={result ?? {}} piece={piece} />
}

function Titled({ text, badge }: { readonly text: string; readonly badge?: string }) {
  return (
    <span className="line">
      {text}
      {badge !== undefined && <Badge tone="bad">{badge}</Badge>}
    </span>
  )
}

function Asked({
  method,
  params,
  piece,
  entry,
}: {
  readonly method: string
  readonly params: Fields
  readonly piece: Piece
  readonly entry: EntryView
}) {
  const { name, uri, arguments: given, ...rest } = params
  const facts = fieldsOf(entry['mcp'])
  const target = name ?? uri
  const isOwn = piece.from === 'client'
  return (
    <Panel title={isOwn ? 'Called' : 'Asked back'} tools={<At at={piece.at} />}>
      <div className="stack">
        <Facts
          of={[
            ['Method', <code key="method">{visible(method)}</code>],
            ['Name', typeof target === 'string' && <code>{masked(visible(target))}</code>],
            ['Server', isOwn && typeof facts['server'] === 'string' && visible(facts['server'])],
            [
              'Definition',
              isOwn && typeof facts['pin'] === 'string' && (
                <code className="wrap" title="The hash of the definition that was in force">
                  {visible(facts['pin'])}
                </code>
              ),
            ],
          ]}
        />
        {given !== undefined && <JsonCode value={given} label="Arguments" />}
        {Object.keys(rest).length > 0 && <JsonCode value={rest} label="Parameters" />}
      </div>
    </Panel>
  )
}

function Result({ result, piece }: { readonly result: Fields; readonly piece: Piece }) {
  const { content, structuredContent, isError, ...rest } = result
  const blocks = Array.isArray(content) ? content.map(fieldsOf) : []
  const { _meta, resultType: _type, ...more } = rest
  return (
    <Panel
      title={<Titled text="Result" {...(isError === true ? { badge: 'the tool says it failed' } : {})} />}
      tools={<At at={piece.at} />}
    >
      <div className="stack">
        {blocks.map((block, index) => (
          <Block key={index} block={block} label={`Content ${index + 1}`} />
        ))}
        {structuredContent !== undefined && <JsonCode value={structuredContent} label="Structured content" />}
        {Object.keys(more).length > 0 && <JsonCode value={more} label="The rest of the result" />}
      </div>
    </Panel>
  )
}

function Block({ block, label }: { readonly block: Fields; readonly label: string }) {
  const { type, text, data, mimeType } = block
  if (type === 'text' && typeof text === 'string') {
    const json = prettyJson(text)
    return <Code text={json ?? text} json={json !== undefined} label={label} />
  }
  if (typeof data === 'string')
    return (
      <p className="faint">
        {visible(String(type))}, {visible(String(mimeType ?? 'of no stated type'))}: about{' '}
        {Math.round((data.length * 3) / 4)} bytes
      </p>
    )
  return <JsonCode value={block} label={label} />
}
