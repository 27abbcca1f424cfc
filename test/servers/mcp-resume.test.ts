/** Clients of 2025 that lose the stream of an answer, through a real gateway to a real server. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { type PracticeMcp, startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { allowAll, type McpStage, mcpStage } from '../support/mcp-stage.ts'

const mail = 'dora.smith@example.com'

/** A server whose tool `slow` says something, then answers when it is let. */
async function slowServer() {
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

function stageFor(practice: PracticeMcp, more: Readonly<Record<string, unknown>> = {}): Promise<McpStage> {
  return mcpStage(
    { servers: [{ name: 'main', url: practice.url }], ...more },
    { rules: allowAll.map(rule => ({ ...rule, mask: ['personal'] })) },
  )
}

interface Call {
  readonly stage: McpStage
  readonly session?: string
  readonly token?: string
  readonly signal?: AbortSignal
}

function send({ stage, session, token, signal }: Call, body: object): Promise<Response> {
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

async function open(of: Call, version = '2025-11-25'): Promise<string> {
  const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: 'raw', version: '1' } }
  const answer = await send(of, { id: 0, method: 'initialize', params })
  await answer.text()
  const session = answer.headers.get('mcp-session-id')
  assert.ok(session)
  await (await send({ ...of, session }, { method: 'notifications/initialized' })).text()
  return session
}

const slow = { id: 7, method: 'tools/call', params: { name: 'slow', arguments: {} } }

function comeBack({ stage, session, token }: Call, lastId: string): Promise<Response> {
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
async function readUntil(answer: Response, part: string): Promise<string> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  while (!text.includes(part)) {
    const { value, done } = await reader.read()
    assert.ok(!done, `ended after: ${text}`)
    text += value
  }
  return text
}

/** How the calls of `slow` ended. */
async function endsOf(stage: McpStage): Promise<unknown[]> {
  const ends = await stage.gateway.waitForEntries(
    1,
    each =>
      each.operation === 'tools/call:slow' &&
      each.kind.startsWith('action.') &&
      each.kind !== 'action.intended',
  )
  return ends.map(each => [each.kind, (each.error as { code?: string } | undefined)?.code])
}

const idsIn = (text: string): string[] => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id!)

/** A client begins `slow`, hears the first message, and its connection breaks. */
async function broken(of: Call): Promise<string[]> {
  const connection = new AbortController()
  const answer = await send({ ...of, signal: connection.signal }, slow)
  const text = await readUntil(answer, 'looking for')
  assert.match(text, /^id: .+\nretry: [0-9]+\ndata:\n\n/)
  assert.ok(!text.includes(mail))
  connection.abort()
  return idsIn(text)
}

test('P11: a client that lost its stream comes back for the rest, masked, and the call ran once', async () => {
  await using server = await slowServer()
  await using stage = await stageFor(server.practice)
  const session = await open({ stage })
  const [primed, last] = await broken({ stage, session })
  const call = await server.next()
  call.let()
  const rest = await (await comeBack({ stage, session }, last!)).text()
  assert.match(rest, /"id":7/)
  assert.match(rest, /found /)
  assert.ok(!rest.includes('looking for') && !rest.includes(mail), rest)
  const whole = await (await comeBack({ stage, session }, primed!)).text()
  assert.match(whole, /looking for/)
  assert.ok(!whole.includes(mail))
  assert.equal(call.cancelled.aborted, false)
  assert.equal(server.calls.length, 1)
  const kinds = (await stage.gateway.entries())
    .filter(each => each.operation === 'tools/call:slow')
    .map(({ kind }) => kind)
  assert.deepEqual(kinds, ['action.intended', 'action.completed'])
})

test('a client that comes back before the answer hears it as it is given', async () => {
  await using server = await slowServer()
  await using stage = await stageFor(server.practice)
  const session = await open({ stage })
  const [primed] = await broken({ stage, session })
  const again = await comeBack({ stage, session }, primed!)
  assert.equal(again.status, 200)
  const answered = again.text()
  ;(await server.next()).let()
  assert.match(await answered, /looking for[^]*found /)
})

test('attack: the events of a stream are given to nobody but the session that they were for', async () => {
  await using server = await slowServer()
  await using stage = await stageFor(server.practice)
  const session = await open({ stage })
  const [primed] = await broken({ stage, session })
  ;(await server.next()).let()
  const token = await stage.world.token('batch-agent')
  assert.equal((await comeBack({ stage, session, token }, primed!)).status, 404, 'another identity')
  const other = await open({ stage })
  assert.equal((await comeBack({ stage, session: other }, primed!)).status, 400, 'another session')
  for (const guess of ['0-0', '99-0', 'x', `${primed}-1`])
    assert.equal((await comeBack({ stage, session }, guess)).status, 400, guess)
  assert.match(await (await comeBack({ stage, session }, primed!)).text(), /found /)
})

test('P2: the call of a client that does not come back in time is cancelled, its entry says so, and nothing is kept', async () => {
  await using server = await slowServer()
  await using stage = await stageFor(server.practice, { timeouts: { resume: '50ms' } })
  const session = await open({ stage })
  const [primed] = await broken({ stage, session })
  const { cancelled } = await server.next()
  if (!cancelled.aborted) await once(cancelled, 'abort')
  assert.deepEqual(await endsOf(stage), [['action.failed', 'client-gone']])
  assert.equal((await comeBack({ stage, session }, primed!)).status, 400)
})

for (const [what, settings] of [
  ['no time', { timeouts: { resume: '0s' } }],
  ['no room', { limits: { replay: 0 } }],
] as const) {
  test(`with ${what} to come back, a stream has no ids, and its call ends with its connection`, async () => {
    await using server = await slowServer()
    await using stage = await stageFor(server.practice, settings)
    const session = await open({ stage })
    const connection = new AbortController()
    const text = await readUntil(
      await send({ stage, session, signal: connection.signal }, slow),
      'looking for',
    )
    assert.deepEqual(idsIn(text), [])
    connection.abort()
    const { cancelled } = await server.next()
    if (!cancelled.aborted) await once(cancelled, 'abort')
    assert.deepEqual(await endsOf(stage), [['action.failed', 'client-gone']])
  })
}

test('P5: a call that waits for a person does not outlive its connection', async () => {
  await using server = await slowServer()
  const asked = { name: 'ask', effect: 'require_approval' as const, operations: ['tools/call:slow'] }
  const approval = { approvers: ['group:security'], expires: '10m' }
  await using stage = await mcpStage(
    { servers: [{ name: 'main', url: server.practice.url }] },
    { rules: [...allowAll, { ...asked, approval }] },
  )
  const session = await open({ stage })
  const connection = new AbortController()
  const params = { ...slow.params, _meta: { progressToken: 1 } }
  const answer = await send({ stage, session, signal: connection.signal }, { ...slow, params })
  const [primed] = idsIn(await readUntil(answer, 'Waiting for a person'))
  connection.abort()
  assert.deepEqual(await endsOf(stage), [['action.denied', undefined]])
  assert.equal((await comeBack({ stage, session }, primed!)).status, 400)
  assert.equal(server.calls.length, 0)
})

test('a session that ends takes along what waits for its client', async () => {
  await using server = await slowServer()
  await using stage = await stageFor(server.practice)
  const session = await open({ stage })
  await broken({ stage, session })
  const { cancelled } = await server.next()
  const ended = await fetch(stage.url, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${stage.token}`, 'mcp-session-id': session },
  })
  assert.equal(ended.status, 200)
  if (!cancelled.aborted) await once(cancelled, 'abort')
})

test('a client of an earlier revision gets no event without a message', async () => {
  await using server = await slowServer()
  await using stage = await stageFor(server.practice)
  const session = await open({ stage }, '2025-06-18')
  const answer = send({ stage, session }, slow)
  ;(await server.next()).let()
  const text = await (await answer).text()
  assert.match(text, /looking for/)
  assert.doesNotMatch(text, /^data:\s*$/m)
})
