/** The gateway's own API over the network: who may, what it answers, and that a log read in pages is the log. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { apiBase } from '../../src/api/handler.ts'
import type { Route } from '../../src/api/route.ts'
import { allRoutes } from '../../src/api/routes.ts'
import type { Entry } from '../../src/audit/events.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { createWorld, type World } from '../support/world.ts'

interface Page {
  readonly entries: Entry[]
  readonly next?: string
  readonly has_more: boolean
}

const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway
/** Tokens: a user, an auditor, an administrator, two agents. */
const tokens: Record<string, string> = {}
let session: string

before(async () => {
  world = opened.use(await createWorld())
  gateway = opened.use(await openGateway(world))
  for (const who of ['ana', 'cam', 'bo', 'triage-agent', 'batch-agent']) tokens[who] = await world.token(who)
  await act('triage-agent', 'GET', '/api/v1/dashboard')
  await act('triage-agent', 'GET', '/api/v1/monitor')
  await act('batch-agent', 'DELETE', '/api/v1/monitor/7')
  await act('batch-agent', 'GET', '/api/v1/monitor/7')
  const [started] = await gateway.waitForEntries(1, each => each.kind === 'session.started')
  session = started!.session!
  await indexed()
})

after(() => opened.disposeAsync())

async function act(who: string, method: string, path: string): Promise<void> {
  const headers = { authorization: `Bearer ${tokens[who]}` }
  await (await fetch(`${gateway.url}/c/datadog${path}`, { method, headers })).arrayBuffer()
}

async function indexed(): Promise<void> {
  const { log, index } = gateway.running.services.storage
  await index.whenIndexed(log.size)
}

function call(path: string, who?: string, init: RequestInit = {}): Promise<Response> {
  const authorization = who === undefined ? {} : { authorization: `Bearer ${tokens[who]}` }
  const headers = { ...authorization, ...(init.headers as Record<string, string> | undefined) }
  return fetch(gateway.url + apiBase + path, { ...init, headers })
}

async function page(query: string): Promise<Page> {
  const answer = await call(`/audit/entries?${query}`, 'cam')
  assert.equal(answer.status, 200, query)
  return (await answer.json()) as Page
}

async function problemOf(answer: Response, status: number): Promise<{ code: string; detail?: string }> {
  assert.equal(answer.status, status)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  return (await answer.json()) as { code: string; detail?: string }
}

/** A route's address with parameters that lead to something. */
function address({ path }: Route): string {
  return path.replaceAll(/\{(\w+)\*?\}/g, (_, name: string) =>
    name === 'index' ? '2' : name === 'sink' ? 'intake' : name === 'name' ? 'datadog' : session,
  )
}

/** Where people sign in; and what its sender signs, which tests of its own judge. */
const forEverybody: ReadonlySet<string> = new Set(['signIn.get', 'slack.interact'])

test('P6: no route answers a caller who may not', async () => {
  const open = new Set<string>()
  for (const route of allRoutes) {
    const init = { method: route.method, headers: { 'content-type': 'application/json' } }
    const stranger = await call(address(route), undefined, init)
    if (route.permission === 'public') {
      open.add(route.id)
      continue
    }
    assert.equal((await problemOf(stranger, 401)).code, 'unauthenticated', route.id)
    assert.match(stranger.headers.get('www-authenticate') ?? '', /^Bearer/)
    if (route.permission === 'user') continue
    const user = await problemOf(await call(address(route), 'ana', init), 403)
    assert.deepEqual(
      [user.code, user.detail],
      ['denied', `this needs the role ${route.permission}`],
      route.id,
    )
  }
  assert.deepEqual(
    [...open].filter(id => !forEverybody.has(id)),
    [],
  )
})

test('what is answered is what the route, and so openapi.json, says', async () => {
  const checked: string[] = []
  for (const route of allRoutes) {
    const [status, response] = Object.entries(route.responses)[0]!
    if (route.method !== 'GET' || response.schema === undefined || route.path.endsWith('/stream')) continue
    const who = route.permission === 'admin' ? 'bo' : 'cam'
    const answer = await call(address(route), who)
    if (answer.status === 404) continue // nothing of that kind is here
    assert.equal(answer.status, Number(status), route.id)
    const parsed = response.schema.safeParse(await answer.json())
    assert.ok(parsed.success, `${route.id}: ${parsed.error?.message}`)
    checked.push(route.id)
  }
  for (const id of [
    'entries.search',
    'entries.get',
    'sessions.list',
    'sessions.replay',
    'me.get',
    'export.status',
    'entries.stats',
    'entries.facets',
    'identities.list',
    'savedSearches.list',
    'policy.get',
    'log.get',
    'connections.list',
  ])
    assert.ok(checked.includes(id), `${id} was not checked`)
})

test('what is not there, not allowed, or not understood', async () => {
  assert.equal((await problemOf(await call('/absent', 'cam'), 404)).code, 'not-found')
  const wrong = await call('/me', 'ana', { method: 'DELETE' })
  assert.equal(wrong.headers.get('allow'), 'GET')
  assert.equal((await problemOf(wrong, 405)).code, 'method-not-allowed')
  for (const query of [
    'limit=0',
    'limit=1001',
    'limit=x',
    'after=-1',
    'since=yesterday',
    'outcome=good',
    'order=up',
  ]) {
    const { code, detail } = await problemOf(await call(`/audit/entries?${query}`, 'cam'), 400)
    assert.equal(code, 'invalid-request')
    assert.ok(detail?.includes(`query.${query.split('=')[0]}`), detail)
  }
  const post = { method: 'POST', body: '{"name":' }
  const json = { 'content-type': 'application/json' }
  assert.equal(
    (await problemOf(await call('/tokens', 'bo', { ...post, headers: json }), 400)).code,
    'invalid-request',
  )
  assert.equal((await problemOf(await call('/tokens', 'bo', post), 400)).code, 'invalid-request')
  const big = { method: 'POST', headers: json, body: JSON.stringify({ name: 'x'.repeat(2 ** 21) }) }
  const tooBig = await call('/tokens', 'bo', big)
  assert.equal(tooBig.headers.get('connection'), 'close', 'what was not read is not taken for a request')
  assert.equal((await problemOf(tooBig, 413)).code, 'body-too-large')
  assert.equal((await call('/audit/entries/99999', 'cam')).status, 404)
})

test('P7: a pull loop sees every entry once and in order, while the log grows', async () => {
  const seen: Entry[] = []
  let after: string | undefined
  let acting = Promise.resolve()
  for (let turn = 0; turn < 12; turn++) {
    acting = acting.then(() => act('triage-agent', 'GET', `/api/v1/monitor?turn=${turn}`))
    const { entries } = await page(`limit=3${after === undefined ? '' : `&after=${after}`}`)
    seen.push(...entries)
    after = entries.at(-1)?.seq ?? after
  }
  await acting
  const { size } = gateway.running.services.storage.log
  await until('the loop reaches the end', async () => {
    const { entries } = await page(`limit=5&after=${after}`)
    seen.push(...entries)
    after = entries.at(-1)?.seq ?? after
    return seen.length >= size
  })
  assert.deepEqual(seen, (await gateway.entries()).slice(0, seen.length))
})

test('pages by `next` end, both ways', async () => {
  await indexed()
  const all = (await gateway.entries()).filter(each => each.kind === 'action.intended')
  for (const order of ['asc', 'desc']) {
    const seen: Entry[] = []
    for (let after: string | undefined = ''; after !== undefined; ) {
      const found: Page = await page(
        `kind=action.intended&order=${order}&limit=4${after === '' ? '' : `&after=${after}`}`,
      )
      assert.equal(found.has_more, found.next !== undefined)
      seen.push(...found.entries)
      after = found.next
    }
    assert.deepEqual(seen, order === 'asc' ? all : all.toReversed())
  }
})

test('filters: who, where, what, how it ended, when, and words', async () => {
  const all = await gateway.entries()
  const ofAna = (each: Entry): boolean =>
    each.subject?.on_behalf_of?.email === 'ana@example.com' || each.subject?.email === 'ana@example.com'
  const middle = all[Math.floor(all.length / 2)]!
  const filters: readonly (readonly [query: string, is: (entry: Entry) => boolean])[] = [
    ['identity=ANA@example.com', ofAna],
    ['identity=batch-agent', each => each.subject?.id === 'batch-agent'],
    ['identity=nobody', () => false],
    ['connection=datadog', each => each.connection?.name === 'datadog'],
    ['operation=v1.*Monitor', each => /^v1\..*Monitor$/.test(each.operation ?? '')],
    ['operation=v1.listMonitors', each => each.operation === 'v1.listMonitors'],
    ['outcome=denied', each => each.outcome === 'denied'],
    ['outcome=failure', each => each.outcome === 'failure'],
    [`session=${session}`, each => each.session === session],
    [
      'kind=action.completed,action.denied',
      each => ['action.completed', 'action.denied'].includes(each.kind),
    ],
    ['text=no-monitor-deletes', each => JSON.stringify(each).includes('no-monitor-deletes')],
    [
      `since=${encodeURIComponent(middle.time)}&kind=action.intended`,
      each => each.kind === 'action.intended' && Date.parse(each.time) >= Date.parse(middle.time),
    ],
    [`until=${encodeURIComponent(middle.time)}`, each => Date.parse(each.time) < Date.parse(middle.time)],
    [
      'since=1h&operation=v1.deleteMonitor&outcome=denied&identity=batch-agent',
      each => each.operation === 'v1.deleteMonitor' && each.outcome === 'denied',
    ],
  ]
  for (const [query, is] of filters) {
    const { entries } = await page(`limit=1000&${query}`)
    // The searches themselves are entries too; what counts is what was there before them.
    const found = entries.filter(each => Number(each.seq) < all.length)
    assert.deepEqual(found, all.filter(is), query)
    if (query !== 'identity=nobody') assert.ok(found.length > 0, query)
  }
})

test('P10: reading is recorded before anything is shown', async () => {
  const before = (await gateway.entries()).length
  const replay = (await (await call(`/sessions/${session}/replay?limit=3`, 'cam')).json()) as {
    actions: { entry: Entry; frames: { from: string }[] }[]
  }
  const read = (await gateway.entries()).slice(before).filter(each => each.kind === 'recording.read')
  assert.equal(read.length, 1)
  assert.equal(read[0]!.subject?.email, 'cam@example.com')
  assert.deepEqual(
    (read[0]!['of'] as { entries: string[] }).entries,
    replay.actions.map(each => each.entry.seq),
  )
  assert.ok(replay.actions.every(each => each.frames.some(frame => frame.from === 'upstream')))
  const searches = (await gateway.entries()).filter(each => each.kind === 'audit.read')
  assert.ok(searches.some(each => each['what'] === 'search' && each.subject?.email === 'cam@example.com'))
})

test('the stream goes on where the reader stopped', async () => {
  const read = async (init: RequestInit, count: number): Promise<string[]> => {
    const leaving = new AbortController()
    const answer = await call('/audit/stream?from=0', 'cam', { ...init, signal: leaving.signal })
    let text = ''
    for await (const chunk of answer.body! as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString()
      if ((text.match(/^id: \d+\nevent: entry\ndata: .*\n\n/gm)?.length ?? 0) >= count) break
    }
    leaving.abort()
    return [...text.matchAll(/^id: (\d+)\nevent: entry\ndata: (.*)\n\n/gm)].map(([, id, data]) => {
      assert.equal((JSON.parse(data!) as Entry).seq, id)
      return id!
    })
  }
  assert.deepEqual((await read({}, 3)).slice(0, 3), ['0', '1', '2'])
  assert.deepEqual((await read({ headers: { 'last-event-id': '2' } }, 2)).slice(0, 2), ['3', '4'])
})
