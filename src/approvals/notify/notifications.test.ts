import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { noticeTopics } from '../../config/approvals.ts'
import type { SendResult } from '../../export/sink.ts'
import { ShippedLog, ShippedState } from '../../export/testing/shipped-log.ts'
import { Approvals } from '../approvals.ts'
import { ask, person } from '../testing/world.ts'
import type { Notice } from './notice.ts'
import { createNotifications } from './notifications.ts'
import type { Notifier } from './notifier.ts'

const soon = { baseMs: 1, capMs: 5, maxAskedMs: 5, holdMs: 5, staleMs: 60_000 }

/** A gateway's log and approvals, and a notifier that answers as told. */
function setUp(t: TestContext) {
  const log = new ShippedLog()
  const state = new ShippedState()
  const approvals = new Approvals({ state, audit: log, clock: { now: Date.now } })
  const told: Notice[] = []
  let answer: SendResult | ((notice: Notice) => SendResult) = { result: 'accepted' }
  const notifier: Notifier = {
    name: 'n',
    type: 'test',
    async tell(notice) {
      const given = typeof answer === 'function' ? answer(notice) : answer
      if (given.result === 'accepted') told.push(notice)
      return given
    },
    close: () => Promise.resolve(),
  }
  const open = (about = noticeTopics as readonly (typeof noticeTopics)[number][]) => {
    const notifications = createNotifications({
      log,
      audit: log,
      state,
      clock: { now: Date.now },
      approvals,
      publicUrl: () => 'https://gw.example.com',
      notifiers: [{ notifier, about }],
      retry: soon,
      pollMs: 5,
    })
    notifications.start()
    t.after(() => notifications.stop(0))
    return notifications
  }
  const settled = async (notifications: ReturnType<typeof open>): Promise<void> => {
    while (notifications.status()[0]!.lag.entries > 0) await new Promise(resolve => setTimeout(resolve, 2))
  }
  const answers = (next: typeof answer): void => void (answer = next)
  const titles = (): string[] => told.map(({ title }) => title.split(':')[0]!)
  return { log, approvals, told, titles, open, settled, answers }
}

const yes = { effect: 'approve', channel: 'api' } as const

test('P7: requests and decisions are told, in order, once', async t => {
  const { approvals, titles, open, settled } = setUp(t)
  const notifications = open()
  const made = await ask(approvals)
  await settled(notifications)
  await approvals.vote(made.id, person('bo'), yes)
  await settled(notifications)
  assert.deepEqual(titles(), ['Approval needed', 'Approved'])
})

test('P7: a notifier that is down delays nothing; back again, it does not ask for what is decided', async t => {
  const { approvals, told, titles, open, settled, answers } = setUp(t)
  const notifications = open()
  answers({ result: 'retry', detail: 'down' })
  const decided = await ask(approvals, { digest: 'd1' })
  const waiting = await ask(approvals, { digest: 'd2' })
  await approvals.vote(decided.id, person('bo'), yes)
  answers({ result: 'accepted' })
  await settled(notifications)
  assert.ok(!told.some(({ id, event }) => id === decided.id && event === 'approval.requested'))
  assert.deepEqual(titles(), ['Approval needed', 'Approved'])
  assert.equal(told[0]!.id, waiting.id)
})

test('P7: what a fault cut short is told after a restart, from where it was', async t => {
  const { approvals, told, open, settled, answers } = setUp(t)
  const first = open()
  await ask(approvals, { digest: 'd1' })
  await settled(first)
  answers({ result: 'retry', detail: 'down' })
  await ask(approvals, { digest: 'd2' })
  await first.stop(0)
  answers({ result: 'accepted' })
  await settled(open())
  assert.equal(new Set(told.map(({ id }) => id)).size, 2)
  assert.equal(told.length, 2)
})

test('a batch that fails midway repeats no message', async t => {
  const { approvals, told, open, settled, answers } = setUp(t)
  answers({ result: 'retry', detail: 'down' })
  const notifications = open()
  for (let i = 0; i < 6; i++) await ask(approvals, { digest: `d${i}` })
  let calls = 0
  answers(() => (++calls % 2 === 0 ? { result: 'retry', detail: 'flaky' } : { result: 'accepted' }))
  await settled(notifications)
  assert.equal(told.length, 6)
})

test('one notice that is rejected is replaced by a bare one, and does not hold up the others', async t => {
  const { log, approvals, told, open, settled, answers } = setUp(t)
  answers(notice =>
    notice.title.includes('v1.bad') ? { result: 'rejected', detail: '400' } : { result: 'accepted' },
  )
  const notifications = open()
  await ask(approvals, { digest: 'd1', operation: 'v1.bad' })
  await ask(approvals, { digest: 'd2' })
  await settled(notifications)
  const titles = told.map(({ title }) => title)
  assert.ok(titles.includes('Approval needed; the details could not be shown here'))
  assert.equal(titles.at(-1), 'Approval needed: v1.updateMonitor on datadog-prod')
  assert.ok(log.notes.some(({ kind }) => kind === 'export.dead_lettered'))
})

test('only what a notifier is about', async t => {
  const { log, approvals, told, open, settled } = setUp(t)
  const notifications = open(['break-glass'])
  await ask(approvals)
  const approval = { id: 'bg_1', kind: 'break-glass', until: '2026-11-21T08:00:00.000Z' }
  await log.write('break_glass.used', {
    subject: { issuer: 'i', id: 'bo', kind: 'user', method: 'oidc' },
    connection: { name: 'datadog-prod' },
    approval,
    reason: 'incident 42',
  })
  await settled(notifications)
  assert.equal(told.length, 1)
  assert.ok(told[0]!.urgent && told[0]!.facts.some(([, value]) => value === 'incident 42'))
})
