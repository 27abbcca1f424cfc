/** What the console asks the API for: counts, menus, who was seen, the policy tried on what was recorded, streams. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { apiBase } from '../../src/api/handler.ts'
import type { Entry } from '../../src/audit/events.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, defaultRules, type World } from '../support/world.ts'

const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway
const tokens: Record<string, string> = {}

before(async () => {
  const asking = {
    name: 'ask-for-dashboards',
    effect: 'require_approval' as const,
    operations: ['v1.createDashboard'],
    approval: { approvers: ['group:security'] },
  }
  world = opened.use(await createWorld({ config: { policy: { rules: [...defaultRules, asking] } } }))
  gateway = opened.use(await openGateway(world))
  for (const who of ['ana', 'cam', 'triage-agent', 'batch-agent']) tokens[who] = await world.token(who)
  await act('triage-agent', 'GET', '/api/v1/dashboard')
  for (let i = 0; i < 3; i++) await act('triage-agent', 'GET', '/api/v1/monitor')
  await act('batch-agent', 'DELETE', '/api/v1/monitor/7')
  const { log, index } = gateway.running.services.storage
  await index.whenIndexed(log.size)
})

after(() => opened.disposeAsync())

async function act(who: string, method: string, path: string): Promise<number> {
  const headers = { authorization: `Bearer ${tokens[who]}`, 'sallyport-wait': '0' }
  const answer = await fetch(`${gateway.url}/c/datadog${path}`, { method, headers })
  await answer.arrayBuffer()
  return answer.status
}

function call(path: string, init: RequestInit = {}, who = 'cam'): Promise<Response> {
  const headers = {
    authorization: `Bearer ${tokens[who]}`,
    'content-type': 'application/json',
    ...(init.headers as Record<string, string> | undefined),
  }
  return fetch(gateway.url + apiBase + path, { ...init, headers })
}

async function json<T>(path: string, body?: unknown): Promise<T> {
  const answer = await call(path, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) })
  assert.ok(answer.status < 300, `${path}: ${answer.status} ${answer.ok ? '' : await answer.clone().text()}`)
  return (await answer.json()) as T
}

/** Reads server-sent events until `enough` of what came. */
async function events(
  path: string,
  enough: (seen: readonly { event: string; id?: string; data: unknown }[]) => boolean,
  { started = async () => undefined, who = 'cam' }: { started?: () => Promise<unknown>; who?: string } = {},
) {
  const leaving = new AbortController()
  const answer = await call(path, { signal: leaving.signal }, who)
  assert.equal(answer.headers.get('content-type'), 'text/event-stream')
  let text = ''
  let first = true
  const seen: { event: string; id?: string; data: unknown }[] = []
  for await (const chunk of answer.body! as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString()
    if (first) await started()
    first = false
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end)
      text = text.slice(end + 2)
      const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
      const data = field('data')
      const id = field('id')
      if (data !== undefined)
        seen.push({
          event: field('event') ?? 'message',
          ...(id && { id }),
          data: JSON.parse(data) as unknown,
        })
    }
    if (enough(seen)) break
  }
  leaving.abort()
  return seen
}

test('counts over time add up to what a search finds', async () => {
  interface Stats {
    from: string
    to: string
    bucket_ms: number
    series: { key: string; total: number; counts: number[] }[]
    other?: { total: number }
    totals: { entries: number }
  }
  const stats = await json<Stats>(
    '/audit/stats?by=outcome&kind=action.completed,action.denied&from=1h&bucket=1m',
  )
  const found = (await gateway.entries()).filter(
    ({ kind }) => kind === 'action.completed' || kind === 'action.denied',
  )
  assert.equal(stats.totals.entries, found.length)
  assert.equal(stats.bucket_ms, 60_000)
  assert.deepEqual(
    stats.series.map(({ key, total }) => [key, total]),
    [
      ['success', found.filter(each => each.outcome === 'success').length],
      ['denied', 1],
    ],
  )
  for (const { total, counts } of stats.series) {
    assert.equal(
      counts.reduce((sum, each) => sum + each, 0),
      total,
    )
    assert.equal(counts.length, (Date.parse(stats.to) - Date.parse(stats.from)) / stats.bucket_ms)
  }
  const top = await json<Stats>('/audit/stats?by=kind&top=1')
  assert.equal(top.series.length, 1)
  assert.equal(top.series[0]!.total + top.other!.total, top.totals.entries)
  assert.equal((await call('/audit/stats?from=90d&bucket=1s')).status, 400, 'so many buckets are refused')
})

test('facets are the values that filters would find', async () => {
  const { facets } = await json<{ facets: Record<string, { values: { key: string; total: number }[] }> }>(
    '/audit/facets?kind=action.intended',
  )
  assert.deepEqual(facets['identity']!.values[0], {
    key: 'ana@example.com',
    total: 0,
    ...facets['identity']!.values[0],
  })
  for (const { key, total } of facets['identity']!.values) {
    const { entries } = await json<{ entries: Entry[] }>(
      `/audit/entries?kind=action.intended&limit=1000&identity=${encodeURIComponent(key)}`,
    )
    assert.equal(entries.length, total, key)
  }
})

test('identities: who was seen, and for whom an agent acts', async () => {
  const { identities } = await json<{
    identities: { subject: NonNullable<Entry['subject']>; entries: number }[]
  }>('/identities?name=triage')
  assert.equal(identities.length, 1)
  assert.equal(identities[0]!.subject.kind, 'agent')
  assert.equal(identities[0]!.subject.on_behalf_of?.email, 'ana@example.com')
  assert.ok(identities[0]!.entries >= 8)
})

test('a policy is checked, explained and tried on what was recorded', async () => {
  const { text, version } = await json<{ text: string; version: string }>('/policy')
  const check = await json<{ ok: boolean; version: string }>('/policy/check', { policy: text })
  assert.deepEqual([check.ok, check.version], [true, version], 'what is shown is what is in force')
  const { problems } = await json<{ problems: { line: number; column: number; message: string }[] }>(
    '/policy/check',
    { policy: 'rules:\n  - name: a\n    effect: alow\n' },
  )
  assert.deepEqual([problems[0]!.line, problems[0]!.column], [3, 13])

  interface Trial {
    examined: number
    same: number
    changed: {
      before: string
      after: string
      count: number
      samples: { rule?: string; operation: string }[]
    }[]
    undetermined: { count: number; rules: { rule: string; needs: string[] }[] }
  }
  const stricter = `${text}  - name: no-lists\n    effect: deny\n    operations: [v1.listMonitors]\n`
  const trial = await json<Trial>('/policy/try', { policy: stricter })
  const [change] = trial.changed
  assert.deepEqual([change?.before, change?.after, change?.count], ['permit', 'deny', 3])
  assert.deepEqual([change?.samples[0]?.rule, change?.samples[0]?.operation], ['no-lists', 'v1.listMonitors'])
  assert.equal(trial.same + 3, trial.examined, 'the rules that stand as they were decide as they did')

  const groups = stricter.replace('operations: [v1.listMonitors]', 'subjects: { groups: [bots] }')
  const open = await json<Trial>('/policy/try', { policy: groups })
  assert.deepEqual(open.changed, [], 'who was in which group then is not in the log')
  assert.deepEqual(open.undetermined.rules[0], { rule: 'no-lists', count: 4, needs: ['groups'] })
})

test('a stream has the filters of the search, and a session its own stream to its end', async () => {
  const denied = await events('/audit/stream?outcome=denied', seen => seen.length > 0, {
    started: async () => {
      await act('triage-agent', 'GET', '/api/v1/monitor')
      await act('batch-agent', 'DELETE', '/api/v1/monitor/8')
    },
  })
  assert.deepEqual(
    denied.map(({ data }) => (data as Entry).outcome),
    ['denied'],
  )
  const [started] = (await gateway.entries()).filter(each => each.kind === 'session.started')
  const id = started!.session!
  const seen = await events(
    `/sessions/${id}/stream`,
    all => all.some(({ data }) => (data as Entry).kind === 'session.ended'),
    { started: () => gateway.api.ask(`/sessions/${id}`, 'DELETE') },
  )
  assert.deepEqual(
    seen.map(({ data }) => (data as Entry).seq),
    (await gateway.entries()).filter(each => each.session === id).map(each => each.seq),
  )
})

test('P5: the stream of approvals tells who may see it, and nobody else', async () => {
  const seen = await events(
    '/approvals/stream',
    all => all.some(({ event }) => event === 'approval'),
    // It is held until the gateway closes.
    { started: async () => void act('triage-agent', 'POST', '/api/v1/dashboard').catch(() => undefined) },
  )
  assert.equal(seen[0]!.event, 'approvals')
  const approval = seen.find(({ event }) => event === 'approval')!.data as { id: string; may_vote: boolean }
  assert.equal(approval.may_vote, true)
  const [others] = await events('/approvals/stream', all => all.length > 0, { who: 'batch-agent' })
  assert.deepEqual(others!.data, { approvals: [] })
})

test('saved searches are each person’s own', async () => {
  const saved = await json<{ id: string; name: string }>('/saved-searches', {
    name: 'mine',
    query: 'outcome=denied',
  })
  assert.deepEqual((await json<{ searches: unknown[] }>('/saved-searches')).searches, [saved])
  assert.equal((await call(`/saved-searches/${saved.id}`, { method: 'DELETE' })).status, 204)
  assert.deepEqual(await json('/saved-searches'), { searches: [] })
})

test('CSV holds the same entries as the search', async () => {
  const answer = await call('/audit/export?format=csv&kind=action.denied')
  assert.match(answer.headers.get('content-disposition') ?? '', /entries\.csv/)
  const lines = (await answer.text()).trimEnd().split('\r\n')
  const denied = (await gateway.entries()).filter(each => each.kind === 'action.denied')
  assert.equal(lines.length - 1, denied.length)
  assert.match(lines[1]!, /"v1\.deleteMonitor"/)
})
