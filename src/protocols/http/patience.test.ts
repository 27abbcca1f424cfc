import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parse } from 'yaml'
import { builtinProfiles } from './hold-profiles.ts'
import { Holds } from './patience.ts'
import type { RequestHead } from './request.ts'
import { parseCommonSettings } from './settings.ts'

const client = (of: Partial<RequestHead>): RequestHead => ({
  method: 'POST',
  version: '1.1',
  path: '/',
  judged: '/',
  query: [],
  headers: [],
  authority: 'gw.example.com',
  contentType: undefined,
  encodings: [],
  contentLength: undefined,
  hasBody: false,
  expectsContinue: false,
  range: undefined,
  ifRange: undefined,
  agent: undefined,
  waitSeconds: undefined,
  respondAsync: false,
  tokens: [],
  ...of,
})

function holds(hold: Record<string, unknown> = {}): Holds {
  return new Holds(parseCommonSettings({ hold }).hold)
}

test('each client is held as long as it endures: by what it says, by a profile, by its name', () => {
  const some = holds({ profiles: [{ agent: 'My-Agent/*', hold: '90s' }], longest: '2m' })
  const of = (head: Partial<RequestHead>): number => some.patience(client(head), 0).holdMs / 1000
  assert.equal(of({}), 25)
  assert.equal(of({ agent: 'Something/1.0' }), 25)
  assert.equal(of({ agent: 'my-agent/2 (linux)' }), 90)
  assert.equal(of({ agent: 'datadog-api-client-typescript/1.64.0 (node 24)' }), 300)
  assert.equal(of({ agent: 'node' }), 280)
  assert.equal(of({ agent: 'node-something' }), 25)
  assert.equal(of({ agent: 'python-httpx/0.28.1' }), 4)
  assert.equal(of({ agent: 'my-agent/2', waitSeconds: 3 }), 3)
  assert.equal(of({ waitSeconds: 99_999 }), 120)
})

test('a profile of the configuration comes before the built-in ones', () => {
  const some = holds({ profiles: [{ agent: '*', hold: '1s' }] })
  assert.equal(some.patience(client({ agent: 'node' }), 0).holdMs, 1000)
})

test('who would rather come back is not held unless it says for how long', () => {
  const respondAsync = true
  assert.deepEqual(holds().patience(client({ respondAsync, agent: 'node' }), 0), { holdMs: 0, then: 'poll' })
  assert.deepEqual(holds().patience(client({ respondAsync, waitSeconds: 5 }), 0), {
    holdMs: 5000,
    then: 'poll',
  })
})

test('beyond so many calls or bytes nothing is held, and room comes back', () => {
  const some = holds({ calls: 2, bytes: 100 })
  const held = (bytes: number): boolean => some.patience(client({}), bytes).holdMs > 0
  assert.ok(held(100))
  assert.ok(!held(101))
  const leave = some.enter(60)
  assert.ok(held(40))
  assert.ok(!held(41))
  const leaveToo = some.enter(0)
  assert.ok(!held(0))
  leave()
  assert.ok(held(100))
  leaveToo()
  assert.deepEqual(some.held, { calls: 0, bytes: 0 })
})

test('what the guide shows is valid, and its table is that of the built-in profiles', async () => {
  const guide = await readFile(new URL('../../../docs/guides/approvals-http.md', import.meta.url), 'utf8')
  const { hold } = parse(/```yaml\n([^]*?)```/.exec(guide)![1]!) as { hold: Record<string, unknown> }
  assert.equal(holds(hold).patience(client({ agent: 'my-agent/1' }), 0).holdMs, 120_000)
  for (const { agent } of builtinProfiles) assert.ok(guide.includes(`\`${agent}\``), agent)
})
