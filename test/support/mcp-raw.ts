/** A client of 2025 by hand, so that it can lose its streams, and a server that answers when it is let. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import type { McpStage } from './mcp-stage.ts'

export const mail = 'dora.smith@example.com'

/** A server whose tool `slow` says something, then answers when it is let. */
export async function slowServer() {
  const calls: { let(): void; readonly cancelled: AbortSignal }[] = []
  const begun = new EventTarget()
  const practice = await startPracticeMcp({
    extend: server =>
      void server.registerTool('slow', {}, async context => {
        await context.mcpReq.log('info', { said: `looking for ${mail}` })
        const { promise, resolve } = Promise.withResolvers<void>()
        calls.push({ let: resolve, cancelled: context.mcpReq.signal })
        begun.dispatchEvent(new Event('begun'))
        await promise
        return { content: [{ type: 'text', text: `found ${mail}` }] }
      }),
  })
  const next = async (): Promise<(typeof calls)[number]> => {
    if (calls.length === 0) await once(begun, 'begun')
    return calls[0]!
  }
  return { practice, calls, next, [Symbol.asyncDispose]: () => practice.close() }
}

export interface Call {
  readonly stage: McpStage
  readonly session?: string
  readonly token?: string
  readonly signal?: AbortSignal
}

export function send({ stage, session, token, signal }: Call, body: object): Promise<Response> {
  return fetch(stage.url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token ?? stage.token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(session === undefined ? {} : { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...body }),
    ...(signal === undefined ? {} : { signal }),
  })
}

export async function open(of: Call, version = '2025-11-25'): Promise<string> {
  const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: 'raw', version: '1' } }
  const answer = await send(of, { id: 0, method: 'initialize', params })
  await answer.text()
  const session = answer.headers.get('mcp-session-id')
  assert.ok(session)
  await (await send({ ...of, session }, { method: 'notifications/initialized' })).text()
  return session
}

export const slow = { id: 7, method: 'tools/call', params: { name: 'slow', arguments: {} } }

export function comeBack({ stage, session, token }: Call, lastId: string): Promise<Response> {
  return fetch(stage.url, {
    headers: {
      authorization: `Bearer ${token ?? stage.token}`,
      accept: 'text/event-stream',
      'mcp-session-id': session!,
      'mcp-protocol-version': '2025-11-25',
      'last-event-id': lastId,
    },
  })
}

/** Reads until the text holds this, and gives what there was. */
export async function readUntil(answer: Response, part: string): Promise<string> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  while (!text.includes(part)) {
    const { value, done } = await reader.read()
    assert.ok(!done, `ended after: ${text}`)
    text += value
  }
  return text
}

export const idsIn = (text: string): string[] => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id!)

/** A client begins `slow`, hears the first message, and its connection breaks. */
export async function broken(of: Call): Promise<string[]> {
  const connection = new AbortController()
  const answer = await send({ ...of, signal: connection.signal }, slow)
  const text = await readUntil(answer, 'looking for')
  assert.match(text, /^id: .+\nretry: [0-9]+\ndata:\n\n/)
  assert.ok(!text.includes(mail))
  connection.abort()
  return idsIn(text)
}

/** Opens the stream of what servers say unasked, anew or after an event. */
export function listen(of: Call, lastId?: string, version = '2025-11-25'): Promise<Response> {
  const { stage, session, token, signal } = of
  return fetch(stage.url, {
    headers: {
      authorization: `Bearer ${token ?? stage.token}`,
      accept: 'text/event-stream',
      'mcp-session-id': session!,
      'mcp-protocol-version': version,
      ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
    },
    ...(signal === undefined ? {} : { signal }),
  })
}

/** Reads a stream as it comes. */
export function follow(answer: Response): { readonly text: string; until(part: string): Promise<string> } {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  return {
    get text() {
      return text
    },
    async until(part) {
      while (!text.includes(part)) {
        const { value, done } = await reader.read()
        assert.ok(!done, `ended after: ${text}`)
        text += value
      }
      return text
    },
  }
}

/** What this token says, in another one of the same identity that is in these groups. */
export async function regrouped({ world, token }: McpStage, groups: readonly string[]): Promise<string> {
  const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as object
  return await world.identityProvider.mint({ ...claims, groups: [...groups] })
}
