import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { startSlackReceiver } from '../../../practice/receivers/slack-receiver.ts'
import type { Subject } from '../../model/subject.ts'
import { openPoster } from '../notify/post.ts'
import { ana, agent, ask, code, person, terms, World } from '../testing/world.ts'
import { SlackInteractions } from './interactions.ts'
import { SlackLinks } from './links.ts'

const secret = '8f742231b10e8888abcd99yyyzzz85a5'
const lastsMs = 12 * 3_600_000

async function setUp(t: TestContext) {
  const world = new World()
  world.now = Date.now()
  const slack = await startSlackReceiver('xoxb-1')
  const poster = openPoster(5000)
  t.after(async () => {
    await poster.close()
    await slack.http.close()
  })
  const { approvals, clock, state, audit } = world
  const links = new SlackLinks({ state, audit, clock, lastsMs })
  const trusted = { issuers: new Set(['https://idp']) }
  const clicks = new SlackInteractions({
    apps: [{ signingSecret: () => secret, apiUrl: slack.http.url }],
    approvals,
    links,
    clock,
    poster,
    isApprover: () => false,
    trusts: subject => trusted.issuers.has(subject.issuer),
  })
  let at = world.now
  const click = async (user: string, value: string, action = 'sallyport-approve'): Promise<string> => {
    const before = slack.ephemeral.length
    at += 1000
    const { headers, body } = slack.click({ action, value, user, secret, at })
    await clicks.take(headers, Buffer.from(body))
    while (slack.ephemeral.length === before) await new Promise(resolve => setTimeout(resolve, 1))
    return String(slack.ephemeral.at(-1)!['text'])
  }
  const link = async (user: string, subject: Subject): Promise<void> => {
    const code = links.offer({ team: 'T0DEMO', user, username: user })
    await links.link(code, subject)
  }
  return { world, approvals, slack, links, clicks, click, link, trusted }
}

test('P5: a click is the vote of the linked person, under the same rules', async t => {
  const { approvals, world, click, link } = await setUp(t)
  const { id } = await ask(approvals)
  await link('UBO', person('bo'))
  await link('UANA', ana)
  await link('UDAN', person('dan', ['sales']))
  assert.match(await click('UANA', id), /nobody approves what an agent asks on their behalf/)
  assert.match(await click('UDAN', id), /does not name you/)
  assert.equal((await approvals.get(id)).state, 'pending')
  assert.equal(await click('UBO', id), 'It is approved.')
  const [vote] = (await approvals.get(id)).votes
  assert.deepEqual([vote!.by.email, vote!.channel], ['bo@example.com', 'slack'])
  assert.equal(world.notes.filter(({ kind }) => kind === 'identity.linked').length, 3)
})

test('a clicker whom nobody knows is shown a code, once for them, and votes after signing in with it', async t => {
  const { approvals, click, links } = await setUp(t)
  const { id } = await ask(approvals)
  const told = await click('UBO', id)
  const offered = /link-slack (\S+)`/.exec(told)![1]!
  assert.equal((await approvals.get(id)).state, 'pending')
  assert.deepEqual(links.offered(offered), { team: 'T0DEMO', user: 'UBO', username: 'ubo' })
  await assert.rejects(links.link(offered, agent), code('denied'))
  await links.link(offered, person('bo'))
  await assert.rejects(links.link(offered, person('eve')), code('not-found'))
  assert.equal(await click('UBO', id, 'sallyport-deny'), 'It is denied.')
})

test('a link ends in time, with its issuer, and when its person ends it', async t => {
  const { approvals, world, click, link, links, trusted } = await setUp(t)
  const { id } = await ask(approvals, { terms: { ...terms, expiresAfterMs: 7 * 24 * 3_600_000, quorum: 9 } })
  await link('UBO', person('bo'))
  trusted.issuers.clear()
  assert.match(await click('UBO', id), /Say once who you are/)
  trusted.issuers.add('https://idp')
  assert.equal(await links.unlink(person('bo')), 1)
  assert.match(await click('UBO', id), /Say once who you are/)
  await link('UBO', person('bo'))
  world.move(lastsMs)
  assert.equal(await links.find({ team: 'T0DEMO', user: 'UBO', username: '' }), undefined)
})

test('only what Slack signed, of the last five minutes, and each once', async t => {
  const { approvals, world, slack, clicks, link } = await setUp(t)
  const { id } = await ask(approvals, { terms: { ...terms, quorum: 2 } })
  await link('UBO', person('bo'))
  const of = { action: 'sallyport-approve', value: id, user: 'UBO', secret, at: world.now }
  const good = slack.click(of)
  const take = ({ headers, body }: typeof good) => clicks.take(headers, Buffer.from(body))
  await assert.rejects(take(slack.click({ ...of, secret: 'another' })), code('denied'))
  await assert.rejects(take(slack.click({ ...of, at: world.now - 301_000 })), code('denied'))
  await assert.rejects(take(slack.click({ ...of, at: world.now + 301_000 })), code('denied'))
  await assert.rejects(take({ ...good, body: `${good.body}&x=1` }), code('denied'))
  const { 'x-slack-signature': _, ...unsigned } = good.headers
  await assert.rejects(take({ ...good, headers: unsigned }), code('denied'))
  assert.equal((await approvals.get(id)).votes.length, 0)
  await take(good)
  await assert.rejects(take(good), code('conflict'))
  assert.equal((await approvals.get(id)).votes.length, 1)
})

test('a reason that the rule asks for is asked for', async t => {
  const { approvals, click, link } = await setUp(t)
  const { id } = await ask(approvals, { terms: { ...terms, reasonRequired: true } })
  await link('UBO', person('bo'))
  assert.match(await click('UBO', id), /--reason/)
})

test('P6: whatever is signed and sent, nothing but a click is a vote', async t => {
  const { world, clicks, slack } = await setUp(t)
  const { createHmac } = await import('node:crypto')
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        fc.json().map(json => `payload=${encodeURIComponent(json)}`),
      ),
      async body => {
        const stamp = String(Math.floor(world.now / 1000))
        const mac = createHmac('sha256', secret).update(`v0:${stamp}:${body}`).digest('hex')
        const headers = { 'x-slack-request-timestamp': stamp, 'x-slack-signature': `v0=${mac}` }
        await assert.rejects(clicks.take(headers, Buffer.from(body)), (error: { code: string }) =>
          ['invalid-request', 'conflict'].includes(error.code),
        )
      },
    ),
    { numRuns: 100 },
  )
  assert.equal(slack.ephemeral.length, 0)
})

test('nobody but the configured Slack is called back', async t => {
  const { approvals, slack, clicks, world, link } = await setUp(t)
  const { id } = await ask(approvals)
  await link('UBO', person('bo'))
  const { createHmac } = await import('node:crypto')
  const payload = {
    type: 'block_actions',
    team: { id: 'T0DEMO' },
    user: { id: 'UBO' },
    actions: [{ action_id: 'sallyport-approve', value: id }],
    response_url: 'http://169.254.169.254/latest',
  }
  const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
  const stamp = String(Math.floor(world.now / 1000))
  const mac = createHmac('sha256', secret).update(`v0:${stamp}:${body}`).digest('hex')
  const headers = { 'x-slack-request-timestamp': stamp, 'x-slack-signature': `v0=${mac}` }
  await clicks.take(headers, Buffer.from(body))
  assert.equal((await approvals.get(id)).state, 'approved')
  assert.equal(slack.http.calls, 0)
})
