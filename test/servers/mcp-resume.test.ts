/** Clients of 2025 that lose the stream of an answer, through a real gateway to a real server. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { PracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { LocalApi } from '../support/local-api.ts'
import {
  broken,
  comeBack,
  idsIn,
  mail,
  open,
  readUntil,
  regrouped,
  send,
  slow,
  slowServer,
} from '../support/mcp-raw.ts'
import { allowAll, type McpStage, mcpStage } from '../support/mcp-stage.ts'

function stageFor(practice: PracticeMcp, more: Readonly<Record<string, unknown>> = {}): Promise<McpStage> {
  return mcpStage(
    { servers: [{ name: 'main', url: practice.url }], ...more },
    { rules: allowAll.map(rule => ({ ...rule, mask: ['personal'] })) },
  )
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

const whole = { ...allowAll[0]!, subjects: { kinds: ['agent' as const], groups: ['sre'] } }

test('attack: who was taken out of a group meanwhile does not get the rest of what the group may see', async () => {
  await using server = await slowServer()
  await using stage = await mcpStage(
    { servers: [{ name: 'main', url: server.practice.url }] },
    {
      rules: [
        { ...whole, mask: ['personal'] },
        {
          name: 'nobody-of-the-outside',
          effect: 'deny',
          subjects: { groups: ['outside'] },
          operations: ['tools/call:*'],
        },
      ],
    },
  )
  const session = await open({ stage })
  const [primed] = await broken({ stage, session })
  const token = await regrouped(stage, ['sre', 'outside'])
  ;(await server.next()).let()
  const refused = await comeBack({ stage, session, token }, primed!)
  assert.equal(refused.status, 403)
  assert.doesNotMatch(await refused.text(), /found|looking/)
  // With the rights that it began with, it is still there.
  assert.match(await (await comeBack({ stage, session }, primed!)).text(), /found /)
})

test('P8: who would see more of it masked by now does not get what is kept', async () => {
  await using server = await slowServer()
  await using stage = await mcpStage(
    { servers: [{ name: 'main', url: server.practice.url }] },
    {
      rules: [
        whole,
        {
          name: 'outside-sees-less',
          effect: 'allow',
          subjects: { groups: ['outside'] },
          operations: ['tools/call:*'],
          mask: ['personal'],
        },
      ],
    },
  )
  const session = await open({ stage })
  const connection = new AbortController()
  const answer = await send({ stage, session, signal: connection.signal }, slow)
  const [primed] = idsIn(await readUntil(answer, mail))
  connection.abort()
  ;(await server.next()).let()
  const token = await regrouped(stage, ['sre', 'outside'])
  const refused = await comeBack({ stage, session, token }, primed!)
  assert.equal(refused.status, 403)
  assert.ok(!(await refused.text()).includes(mail))
})

test('attack: with a token that was revoked nobody comes back', async () => {
  await using server = await slowServer()
  await using stage = await stageFor(server.practice, { timeouts: { resume: '500ms' } })
  const api = new LocalApi(stage.world.data)
  const made = await api.ask('/tokens', 'POST', { name: 'runner', subject: { id: 'runner', kind: 'agent' } })
  const { id, token } = made.json as { id: string; token: string }
  const session = await open({ stage, token })
  const [primed] = await broken({ stage, session, token })
  const { cancelled } = await server.next()
  assert.equal((await api.ask(`/tokens/${id}`, 'DELETE')).status, 200)
  assert.equal((await comeBack({ stage, session, token }, primed!)).status, 401)
  if (!cancelled.aborted) await once(cancelled, 'abort')
  assert.deepEqual(await endsOf(stage), [['action.failed', 'client-gone']])
})
