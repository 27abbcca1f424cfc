/** A request as the Action that policy, approvals and the log see. */
import { hash } from 'node:crypto'
import { newId } from '../../id.ts'
import type { Action, Risk } from '../../model/action.ts'
import { newTrace, readTraceparent, type Trace } from '../../model/trace.ts'
import { causedTrace, type Origin, storyFacts } from '../story.ts'
import type { ClientProfile } from './envelope.ts'
import { canonicalText } from './catalogue.ts'
import { type Fields, fieldsOf, type RequestId, textOf } from './rpc.ts'

/** What a request is taken for. */
export interface Meaning {
  readonly operation: string
  readonly known: boolean
  readonly risk: Risk
  readonly resource: string
  /** The server it goes to; absent where it concerns all of them. */
  readonly server?: string
  /** Where that server is, as an approver would recognize it. */
  readonly address?: string
  /** The tool, prompt or resource, as the client calls it. */
  readonly name?: string
  readonly tags?: readonly string[]
  /** Of the tool's definition. */
  readonly pin?: string
}

export interface Asked {
  readonly id: RequestId
  readonly method: string
  readonly params: Fields
  readonly client: ClientProfile
  /** Of a 2025-era client. */
  readonly session?: string
  /** What brought it about, and the `traceparent` of its own HTTP headers. */
  readonly origin?: Origin
  /** The arguments are not known: conditions on them can't be evaluated. */
  readonly unread?: boolean
}

/** Members that say how a request is carried and not what it does. */
const carried = new Set(['_meta', 'requestState', 'inputResponses', 'task'])

/** What a request does, without how it is carried. */
export function substance(params: Fields): Fields {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !carried.has(name)))
}

/** What a request says, without what it carries for the protocol alone: answers to questions are the client's words. */
export function spoken(params: Fields): Fields {
  const { _meta, requestState: _, task: __, ...said } = params
  return said
}

export class McpAction implements Action {
  readonly id = newId('a')
  readonly operation: string
  readonly known: boolean
  readonly risk: Risk
  readonly resource: string
  readonly content: Readonly<Record<string, unknown>>
  readonly facts: Readonly<Record<string, unknown>>
  /** What servers go on with: in the client's trace where it brought one along. */
  readonly trace: Trace
  readonly #canonical: () => string
  #digest: string | undefined

  constructor(asked: Asked, meaning: Meaning) {
    this.operation = meaning.operation
    this.known = meaning.known
    this.risk = meaning.risk
    this.resource = meaning.resource
    this.content = contentOf(asked, meaning)
    const origin = originOf(asked)
    this.trace = causedTrace(origin.cause) ?? newTrace(readTraceparent(origin.traceparent)?.traceId)
    this.facts = factsOf(asked, meaning, storyFacts(origin, this.trace))
    const { server, address, pin } = meaning
    this.#canonical = () =>
      canonicalText([server ?? '', address ?? '', pin ?? '', asked.method, substance(asked.params)])
  }

  digest(): string {
    return (this.#digest ??= hash('sha256', this.#canonical()))
  }
}

function contentOf(
  { method, params, client, unread = false }: Asked,
  meaning: Meaning,
): Record<string, unknown> {
  const { server, name, tags = [] } = meaning
  const content: Record<string, unknown> = { method, era: client.era, tags }
  if (server !== undefined) content['server'] = server
  if (name !== undefined) content[nameMember[method] ?? 'name'] = name
  if (unread) return content
  if (method === 'tools/call' || method === 'prompts/get')
    content['arguments'] = fieldsOf(params['arguments'])
  else if (name === undefined) content['params'] = substance(params)
  return content
}

const nameMember: Readonly<Record<string, string>> = {
  'tools/call': 'tool',
  'prompts/get': 'prompt',
  'resources/read': 'uri',
  'resources/subscribe': 'uri',
  'resources/unsubscribe': 'uri',
}

/**
 * OpenTelemetry's names (semantic conventions, "MCP"), so that they land where dashboards look for them. What a client
 * says of itself is under `claimed` (P9). Arguments may hold anything: they are in the recording, masked.
 */
function factsOf(
  { id, method, client, session }: Asked,
  meaning: Meaning,
  story: Record<string, unknown>,
): Record<string, unknown> {
  const { server, name, pin, tags = [] } = meaning
  const mcp: Record<string, unknown> = {
    method: { name: method },
    protocol: { version: client.version },
    ...(session === undefined ? {} : { session: { id: session } }),
    ...(server === undefined ? {} : { server }),
    ...(pin === undefined ? {} : { pin }),
    ...(tags.length === 0 ? {} : { tags }),
  }
  const facts: Record<string, unknown> = {
    mcp,
    jsonrpc: { request: { id: String(id).slice(0, 128) } },
    ...story,
  }
  const claimed: Record<string, unknown> = { ...fieldsOf(story['claimed']) }
  if (method === 'tools/call') facts['gen_ai'] = { operation: { name: 'execute_tool' }, tool: { name } }
  else if (method === 'prompts/get') facts['gen_ai'] = { prompt: { name } }
  else if (name !== undefined) mcp['resource'] = { uri: name.slice(0, 1024) }
  const info = client.info
  if (info !== undefined) {
    claimed['client'] = { name: short(info['name']), version: short(info['version']) }
  }
  if (Object.keys(claimed).length > 0) facts['claimed'] = claimed
  return facts
}

function short(value: unknown): string {
  return (textOf(value) ?? '').slice(0, 128)
}

/** The trace context of `_meta` (SEP-414) is nearer to the call than that of the HTTP request around it. */
function originOf({ params, origin = {} }: Asked): Origin {
  const traceparent = textOf(fieldsOf(params['_meta'])['traceparent']) ?? origin.traceparent
  return { ...origin, traceparent }
}
