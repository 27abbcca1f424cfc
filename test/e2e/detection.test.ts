/** What is noticed and held back, through a real gateway: over HTTP, the API and the command line. */
import assert from 'node:assert/strict'
import { before, after, test } from 'node:test'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, defaultRules, type World } from '../support/world.ts'

const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway

before(async () => {
  world = opened.use(
    await createWorld({
      config: {
        policy: {
          rules: [
            ...defaultRules,
            {
              name: 'batches',
              effect: 'allow',
              subjects: { groups: ['agents'] },
              operations: ['v1.listDashboards'],
              budgets: [{ actions: 2, per: 'month' }],
            },
          ],
        },
        detection: {
          first_use: { after: '0s' },
          surge: { ceiling: 30 },
          answers: [{ on: ['denial_streak'], answer: 'suspend' }],
        },
      },
    }),
  )
  gateway = await openGateway(world)
})

after(async () => {
  await gateway.close()
  await opened.disposeAsync()
})

async function act(who: string, path: string, method = 'GET'): Promise<Response> {
  const headers = { authorization: `Bearer ${await world.token(who)}` }
  return await fetch(`${gateway.url}/c/datadog${path}`, { method, headers })
}

async function api(who: string, path: string, body?: unknown): Promise<Response> {
  const headers = { authorization: `Bearer ${await world.token(who)}`, 'content-type': 'application/json' }
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  return await fetch(`${gateway.url}/api/v1${path}`, { ...init, headers })
}

test('P11: a budget that is used up is a 429 with the time to come back, and is kept over a restart', async () => {
  for (let i = 0; i < 2; i++) {
    const answer = await act('batch-agent', '/api/v1/dashboard')
    assert.equal(answer.status, 200)
    await answer.arrayBuffer()
  }
  const refused = await act('batch-agent', '/api/v1/dashboard')
  assert.equal(refused.status, 429)
  const problem = (await refused.json()) as { reason: string; rule: string; errors: unknown }
  assert.deepEqual([problem.reason, problem.rule], ['budget-exhausted', 'batches'])
  const wait = Number(refused.headers.get('retry-after'))
  assert.ok(wait > 0 && wait <= 31 * 86_400)
  await gateway.close()
  gateway = await openGateway(world)
  assert.equal((await act('batch-agent', '/api/v1/dashboard')).status, 429)
  const { budgets } = (await (await api('cam', '/budgets')).json()) as {
    budgets: { used: number; limit: number; subject: { id: string } }[]
  }
  assert.deepEqual(
    budgets.map(({ used, limit, subject }) => [used, limit, subject.id]),
    [[2, 2, 'batch-agent']],
  )
})

test('a first use and a surge are in the log, and in GET /detections', async () => {
  for (let i = 0; i < 35; i++) await (await act('triage-agent', '/api/v1/monitor')).arrayBuffer()
  const found = await gateway.waitForEntries(2, ({ kind, subject }) => {
    return kind.startsWith('detection.') && subject?.id === 'triage-agent'
  })
  assert.deepEqual(new Set(found.map(({ kind }) => kind)).size, 2)
  const { log, index } = gateway.running.services.storage
  await index.whenIndexed(log.size)
  const page = async (query: string) =>
    (await (await api('cam', `/detections?${query}`)).json()) as { entries: { kind: string; seq: string }[] }
  const surges = await page('kind=surge&identity=triage-agent')
  assert.deepEqual(
    surges.entries.map(({ kind }) => kind),
    ['detection.surge_found'],
  )
  const one = await api('cam', `/detections/${surges.entries[0]!.seq}`)
  const { detection } = (await one.json()) as { detection: { words: string } }
  assert.match(detection.words, /actions within a minute; the ceiling is 30$/)
  assert.equal((await api('cam', '/detections/0')).status, 404)
  assert.equal((await api('ana', '/detections')).status, 403)
})

test('P6: an agent that is suspended is refused everywhere, over a restart, until another person clears it', async () => {
  for (let i = 0; i < 5; i++) await (await act('triage-agent', '/api/v1/monitor/7', 'DELETE')).arrayBuffer()
  // The success that ends the streak has gone through; nothing after it does.
  await (await act('triage-agent', '/api/v1/monitor')).arrayBuffer()
  const refused = await act('triage-agent', '/api/v1/monitor')
  assert.equal(refused.status, 403)
  const problem = (await refused.json()) as { reason: string; detail: string; instance: string }
  assert.equal(problem.reason, 'identity-suspended')
  assert.match(problem.detail, /until a person clears it \(r_/)
  const [suspended] = await gateway.waitForEntries(1, ({ kind }) => kind === 'identity.suspended')
  assert.equal(suspended!.subject?.id, 'triage-agent')
  await gateway.close()
  gateway = await openGateway(world)
  assert.equal((await act('triage-agent', '/api/v1/monitor')).status, 403)
  assert.equal((await api('triage-agent', '/me')).status, 403, 'nor does the API answer it')

  const { restrictions } = (await (await api('cam', '/identities/suspended')).json()) as {
    restrictions: { id: string; state: string; detector: string }[]
  }
  assert.deepEqual(
    restrictions.map(({ state, detector }) => [state, detector]),
    [['in-force', 'denial_streak']],
  )
  const clear = `/identities/suspended/${restrictions[0]!.id}/clear`
  assert.equal((await api('ana', clear, { reason: 'x' })).status, 403, 'who has no role for it')
  assert.equal(
    (await gateway.api.ask(clear, 'POST', { reason: 'x' })).status,
    403,
    'the machine is no person',
  )
  assert.equal((await api('cam', clear, { reason: 'its token was shared by mistake' })).status, 200)
  assert.equal((await act('triage-agent', '/api/v1/monitor')).status, 200)
  const [cleared] = await gateway.waitForEntries(1, ({ kind }) => kind === 'identity.cleared')
  assert.match(JSON.stringify(cleared), /its token was shared by mistake/)
})

test('a person suspends by name, and an approver who is suspended approves nothing', async () => {
  const made = await api('cam', '/identities/suspend', { identity: 'batch-agent', reason: 'being looked at' })
  assert.equal(made.status, 201)
  assert.equal((await act('batch-agent', '/api/v1/monitor')).status, 403)
  const nobody = await api('cam', '/identities/suspend', { identity: 'nobody-here', reason: 'x' })
  assert.equal(nobody.status, 400)
  const { issuer } = world.identityProvider
  await api('bo', '/identities/suspend', { identity: { issuer, id: 'cam' }, reason: 'left the team' })
  assert.equal((await api('cam', '/approvals')).status, 403)
})
