import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startHttpReceiver } from '../../../practice/receivers/http-receiver.ts'
import { startSlackReceiver } from '../../../practice/receivers/slack-receiver.ts'
import { startWebhookReceiver } from '../../../practice/receivers/webhook-receiver.ts'
import { MemoryState } from '../../storage/memory/memory-state.ts'
import { noticeOf } from '../testing/notices.ts'
import { plain } from './notice.ts'
import { createSlackNotifier } from './slack.ts'
import { cardOf, createTeamsNotifier } from './teams.ts'
import { createWebhookNotifier } from './webhook.ts'

const { signal } = new AbortController()
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

test('a webhook is signed, says what waits and what would change, and holds nothing unmasked', async () => {
  const receiver = await startWebhookReceiver(secret)
  const notifier = createWebhookNotifier({
    name: 'w',
    url: receiver.url,
    secret: () => secret,
    timeoutMs: 5000,
  })
  try {
    assert.deepEqual(await notifier.tell(noticeOf(), signal), { result: 'accepted' })
    assert.deepEqual(await notifier.tell(noticeOf(), signal), { result: 'accepted' })
    const [first, second] = receiver.taken
    assert.equal(first!.headers['webhook-id'], second!.headers['webhook-id'], 'the same in every attempt')
    const body = JSON.parse(first!.body.toString()) as { type: string; data: Record<string, unknown> }
    assert.equal(body.type, 'approval.requested')
    assert.equal(body.data['id'], 'ap_1')
    assert.deepEqual(body.data['changes'], [
      { path: 'options.thresholds.critical', before: '90', after: '95' },
    ])
    assert.match(String(body.data['link']), /^https:\/\/gw\.example\.com\/.*ap_1$/)
  } finally {
    await notifier.close()
    await receiver.close()
  }
})

test('a webhook signed with another secret is not taken, and that waits for a person', async () => {
  const receiver = await startWebhookReceiver(secret)
  const other = `whsec_${Buffer.alloc(32, 8).toString('base64')}`
  for (const wrong of [other, 'plain']) {
    const notifier = createWebhookNotifier({
      name: 'w',
      url: receiver.url,
      secret: () => wrong,
      timeoutMs: 5000,
    })
    assert.equal((await notifier.tell(noticeOf(), signal)).result, 'refused')
    await notifier.close()
  }
  assert.equal(receiver.taken.length, 0)
  await receiver.close()
})

for (const [fault, result] of [
  ['error', 'retry'],
  ['limited', 'retry'],
  ['silent', 'retry'],
  ['refusing', 'refused'],
  ['redirecting', 'refused'],
  ['rejecting', 'rejected'],
] as const) {
  test(`every service on HTTP that is ${fault}: ${result}`, async () => {
    const receiver = await startHttpReceiver(() => ({ status: 200 }))
    receiver.fault = fault
    const timeoutMs = fault === 'silent' ? 150 : 5000
    const { url } = receiver
    const notifiers = [
      createWebhookNotifier({ name: 'w', url, secret: () => secret, timeoutMs }),
      createTeamsNotifier({ name: 't', url: () => url, timeoutMs }),
      createSlackNotifier({
        name: 's',
        to: { webhookUrl: () => url },
        apiUrl: url,
        buttons: false,
        timeoutMs,
        state: new MemoryState(),
      }),
    ]
    const told = await Promise.all(notifiers.map(each => each.tell(noticeOf(), signal)))
    assert.deepEqual(
      told.map(each => each.result),
      [result, result, result],
    )
    for (const each of told)
      assert.ok(!JSON.stringify(each).includes('127.0.0.1'), 'no address in what is told of it')
    await Promise.all(notifiers.map(each => each.close()))
    await receiver.close()
  })
}

test('Slack: a message with buttons, rewritten without them once decided, also after a restart', async () => {
  const slack = await startSlackReceiver('xoxb-1')
  const state = new MemoryState()
  const open = () =>
    createSlackNotifier({
      name: 's',
      to: { botToken: () => 'xoxb-1', channel: '#approvals' },
      apiUrl: slack.http.url,
      buttons: true,
      timeoutMs: 5000,
      state,
    })
  const first = open()
  assert.deepEqual(await first.tell(noticeOf(), signal), { result: 'accepted' })
  await first.close()
  const second = open()
  assert.deepEqual(await second.tell(noticeOf(), signal), { result: 'accepted' })
  assert.equal(slack.messages.size, 1, 'a crash after the message does not make a second one')
  const [message] = slack.messages.values()
  assert.equal(message!.channel, '#approvals')
  assert.ok(JSON.stringify(message!.blocks).includes('sallyport-approve'))
  assert.ok(JSON.stringify(message!.blocks).includes('- options.thresholds.critical: 90'))
  const decided = noticeOf({ kind: 'approval.granted' })
  assert.deepEqual(await second.tell(decided, signal), { result: 'accepted' })
  assert.equal(message!.updates, 1)
  assert.ok(!JSON.stringify(message!.blocks).includes('sallyport-approve'))
  assert.match(message!.text, /^Approved/)
  await second.close()
  await slack.http.close()
})

test('Slack: what it says in `error` decides what happens', async () => {
  const slack = await startSlackReceiver('xoxb-1')
  const tell = async (token: string) => {
    const notifier = createSlackNotifier({
      name: 's',
      to: { botToken: () => token, channel: 'C1' },
      apiUrl: slack.http.url,
      buttons: true,
      timeoutMs: 5000,
      state: new MemoryState(),
    })
    const sent = await notifier.tell(noticeOf(), signal)
    await notifier.close()
    return sent
  }
  assert.deepEqual(await tell('xoxb-2'), { result: 'refused', detail: 'invalid_auth' })
  for (const [error, result] of [
    ['ratelimited', 'retry'],
    ['invalid_blocks', 'rejected'],
    ['channel_not_found', 'refused'],
  ] as const) {
    slack.error = error
    assert.equal((await tell('xoxb-1')).result, result)
  }
  await slack.http.close()
})

test('what an agent chose is shown as text: no mention, no link, no formatting, nothing hidden', async () => {
  const hostile =
    '<!channel> [here](https://evil.example.com) *x* `y` \u202egnp.exe\u0007\n<https://evil.example.com|ok>'
  const notice = noticeOf({}, { resource: hostile, operation: `v1.x ${hostile}` })
  const receiver = await startSlackReceiver('xoxb-1')
  const notifier = createSlackNotifier({
    name: 's',
    to: { botToken: () => 'xoxb-1', channel: 'C1' },
    apiUrl: receiver.http.url,
    buttons: true,
    timeoutMs: 5000,
    state: new MemoryState(),
  })
  await notifier.tell(notice, signal)
  const text = JSON.stringify([...receiver.messages.values()][0]!.blocks)
  assert.ok(!text.includes('<!channel>') && !text.includes('<https://evil'))
  const card = JSON.stringify(cardOf(notice))
  assert.ok(!card.includes('[here](') && card.includes('\\\\[here\\\\]\\\\('))
  for (const each of [text, card]) assert.ok(!/[\u202e\u0007]/.test(each))
  await notifier.close()
  await receiver.http.close()
})

test('plain text is cut, and never within a character', () => {
  assert.equal(plain('a\r\nb\u0000c\u2028d', 20), 'a b c d')
  const cut = plain('😀'.repeat(300), 100)
  assert.ok(cut.isWellFormed() && cut.length <= 100 && cut.endsWith('…'))
})
