/** How long sessions of people last, and what they are good for. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Subject } from '../../model/subject.ts'
import { MemoryState } from '../../storage/memory/memory-state.ts'
import { BrowserSessions } from './browser-sessions.ts'

const idle = 2 * 3_600_000
const maxAge = 12 * 3_600_000
const subject: Subject = { issuer: 'i', id: 'cam', kind: 'user', groups: [], method: 'oidc', claims: {} }

let now = 0
let state: MemoryState
let sessions: BrowserSessions

beforeEach(() => {
  now = 1_700_000_000_000
  state = new MemoryState()
  sessions = open()
})

afterEach(() => sessions.close())

function open(): BrowserSessions {
  return new BrowserSessions({ state, clock: { now: () => now }, limits: () => ({ idle, max_age: maxAge }) })
}

const stored = async (): Promise<number> => (await state.list('browser-session')).length

test('a session that is used lasts to its end, and no longer', async () => {
  const { cookie, expires } = await sessions.create(subject, 'corp')
  assert.equal(expires, now + maxAge)
  for (const end = now + maxAge; now < end; now += idle / 2) assert.ok(await sessions.find(cookie))
  assert.equal(await sessions.find(cookie), undefined)
  assert.equal(await stored(), 0)
})

test('a session that is not used ends, and its streams with it', async () => {
  const { cookie } = await sessions.create(subject, 'corp')
  const { ended } = (await sessions.find(cookie))!
  now += idle
  assert.ok(await sessions.find(cookie), 'to the millisecond')
  now += idle + 1
  assert.equal(ended.aborted, false)
  assert.equal(await sessions.find(cookie), undefined)
  assert.equal(ended.aborted, true)
})

test('the sweep ends what nobody asks for any more', async () => {
  const { cookie } = await sessions.create(subject, 'corp')
  const { ended } = (await sessions.find(cookie))!
  await sessions.create({ ...subject, id: 'bo' }, 'corp')
  now += idle + 60_001
  const used = await sessions.create({ ...subject, id: 'ana' }, 'corp')
  await sessions.sweep()
  assert.equal(ended.aborted, true)
  assert.equal(await stored(), 1)
  assert.ok(await sessions.find(used.cookie))
})

test('the sweep leaves alone what this process saw used, though the store does not know it yet', async () => {
  const { cookie } = await sessions.create(subject, 'corp')
  for (let i = 0; i < 5; i++) {
    now += idle - 1
    assert.ok(await sessions.find(cookie))
    await sessions.sweep()
  }
  assert.equal(await stored(), 1)
})

test('use survives a restart', async () => {
  const { cookie } = await sessions.create(subject, 'corp')
  now += idle - 1
  await sessions.find(cookie)
  sessions.close()
  sessions = open()
  now += idle - 1
  assert.ok(await sessions.find(cookie))
})

test('a browser’s secret is no terminal’s, nor the other way round', async () => {
  const browser = await sessions.create(subject, 'corp')
  const terminal = await sessions.create(subject, 'corp', 'terminal')
  assert.equal(await sessions.find(browser.cookie, 'terminal'), undefined)
  assert.equal(await sessions.find(terminal.cookie), undefined)
  assert.ok(await sessions.find(browser.cookie))
  assert.ok(await sessions.find(terminal.cookie, 'terminal'))
  assert.equal(await sessions.endAll(subject), 2, 'everywhere is everywhere')
  assert.equal(await sessions.find(terminal.cookie, 'terminal'), undefined)
})

test('P12: one person has fifty at most; the oldest makes room', async () => {
  const first = await sessions.create(subject, 'corp')
  for (let i = 0; i < 50; i++) {
    now++
    await sessions.create(subject, 'corp')
  }
  assert.equal(await sessions.find(first.cookie), undefined)
  assert.equal(await stored(), 50)
})

test('what is no secret of a session is not looked up', async () => {
  for (const cookie of [
    '',
    '.',
    'a.b',
    `${'0'.repeat(32)}.${'A'.repeat(42)}`,
    `${'g'.repeat(32)}.${'A'.repeat(43)}`,
  ])
    assert.equal(await sessions.find(cookie), undefined)
})
