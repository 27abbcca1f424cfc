/** Consent over a whole gateway: identity, connection and policy at the moment of use; grants; break-glass; Slack. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startSlackReceiver, type SlackReceiver } from '../../practice/receivers/slack-receiver.ts'
import { startWebhookReceiver } from '../../practice/receivers/webhook-receiver.ts'
import type { HttpReceiver } from '../../practice/receivers/http-receiver.ts'
import { type Approver, approver } from '../support/approver.ts'
import { runCli } from '../support/cli.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { createWorld, type World } from '../support/world.ts'

const signing = '8f742231b10e8888abcd99yyyzzz85a5'
const whsec = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const monitor = { name: 'Hot', type: 'query alert', query: 'avg(last_5m):avg:x{*} > 1' }

let world: World
let gateway: TestGateway
let cam: Approver
let slack: SlackReceiver
let hook: HttpReceiver
const tokens: Record<string, string> = {}

const asking = (approval: Record<string, unknown> = {}) => ({
  rules: [
    { name: 'reads', effect: 'allow' as const, risks: ['read' as const] },
    {
      name: 'writes',
      effect: 'require_approval' as const,
      risks: ['write' as const, 'delete' as const],
      approval: { approvers: ['group:security'], message: 'Writes wait for a person.', ...approval },
    },
    { name: 'no-keys', effect: 'deny' as const, operations: ['v2.*ApiKey*', 'v2.*APIKey*'] },
  ],
})

before(async () => {
  slack = await startSlackReceiver('xoxb-1')
  hook = await startWebhookReceiver(whsec)
  world = await createWorld({ config: { policy: asking() } })
  await world.configure({
    approvals: {
      notifiers: [
        {
          name: 'slack',
          type: 'slack',
          channel: '#approvals',
          api_url: slack.http.url,
          bot_token: await world.secret('slack-token', 'xoxb-1'),
          signing_secret: await world.secret('slack-signing', signing),
        },
        { name: 'hook', type: 'webhook', url: hook.url, secret: await world.secret('hook', whsec) },
      ],
      grants: { approvers: ['group:security'] },
      break_glass: { enabled: true, allowed: ['group:sre'] },
    },
  })
  gateway = await openGateway(world)
  for (const who of ['ana', 'bo', 'cam', 'triage-agent']) tokens[who] = await world.token(who)
  cam = approver(gateway.url, tokens['cam']!)
})

after(async () => {
  await gateway.close()
  await world.close()
  await slack.http.close()
  await hook.close()
})

function send(name: string, options: { readonly token?: string; readonly wait?: number } = {}) {
  return fetch(`${gateway.url}/c/datadog/api/v1/monitor`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      prefer: `wait=${options.wait ?? 0}`,
      authorization: `Bearer ${options.token ?? tokens['triage-agent']}`,
    },
    body: JSON.stringify({ ...monitor, name }),
  })
}

async function api(who: string, path: string, init: { method?: string; body?: unknown } = {}) {
  const { method = 'GET', body } = init
  const response = await fetch(`${gateway.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${tokens[who]}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const problemOf = async (response: Response) => (await response.json()) as { reason: string; detail: string }

async function completed(name: string) {
  const done = (await gateway.entries()).filter(each => each.kind === 'action.completed')
  return done.find(each => JSON.stringify(each).includes(name)) ?? done.at(-1)!
}

test('P5: a token that is revoked while its call is held lets nothing run', async () => {
  const { token, record } = await gateway.running.services.tokens.create({
    name: 'ci',
    subject: { id: 'ci', kind: 'agent' },
    createdBy: 'test',
  })
  const held = send('Revoked', { token, wait: 30 })
  const [pending] = await cam.pending()
  await gateway.running.services.tokens.revoke(record.id, 'test')
  await cam.vote(pending!.id, 'approve')
  const { reason, detail } = await problemOf(await held)
  assert.equal(reason, 'approval-void')
  assert.match(detail, /revoked/)
  assert.ok(![...world.datadog.state.monitors.values()].some(each => each['name'] === 'Revoked'))
})

test('P5: another policy between approval and use asks anew', async () => {
  await send('Repolicied')
  const [pending] = await cam.pending()
  await cam.vote(pending!.id, 'approve')
  await world.configure({ policy: asking({ reason_required: false, message: 'Another policy.' }) })
  assert.equal(await gateway.running.reload(), true)
  const { reason } = await problemOf(await send('Repolicied'))
  assert.equal(reason, 'approval-pending')
  const { body } = await api('cam', `/approvals/${pending!.id}`)
  assert.deepEqual([body['state'], body['end_reason']], ['cancelled', 'another policy took effect'])
  const [anew] = await cam.pending()
  await cam.vote(anew!.id, 'deny')
})

test('P5: a connection that was changed between approval and use asks anew', async () => {
  await send('Moved')
  const [pending] = await cam.pending()
  await cam.vote(pending!.id, 'approve')
  const before = world.config.connections!
  await world.configure({ connections: [{ ...before[0]!, labels: { moved: 'yes' } }] })
  await gateway.running.reload()
  assert.equal((await problemOf(await send('Moved'))).reason, 'approval-pending')
  assert.equal(
    (await api('cam', `/approvals/${pending!.id}`)).body['end_reason'],
    'the connection was changed',
  )
  for (const each of await cam.pending()) await cam.vote(each.id, 'deny')
})

test('a grant lets the agent work, is in the entry of each call, and never lifts a denial', async () => {
  const body = {
    to: { issuer: world.identityProvider.issuer, id: 'ana' },
    connection: 'datadog',
    operations: ['v1.createMonitor', 'v2.*'],
    duration: '10m',
    reason: 'the release of tonight',
  }
  const refused = await api('ana', '/grants', { method: 'POST', body })
  assert.equal(refused.status, 403)
  assert.equal(
    (await api('cam', '/grants', { method: 'POST', body: { ...body, connection: 'no' } })).status,
    400,
  )
  const who = (await gateway.entries()).findLast(each => each.kind === 'approval.requested')!.subject!
  const to = { issuer: who.issuer, id: who.id }
  const given = await api('cam', '/grants', { method: 'POST', body: { ...body, to } })
  assert.equal(given.status, 201, JSON.stringify(given.body))
  const response = await send('Granted')
  assert.equal(response.status, 200, await response.text())
  const approval = (await completed('Granted')).approval!
  assert.deepEqual(
    [approval['id'], approval['kind'], approval['state']],
    [given.body['id'], 'grant', 'approved'],
  )
  assert.deepEqual(approval['approvers'], ['cam@example.com'])
  const denied = await fetch(`${gateway.url}/c/datadog/api/v2/api_keys`, {
    headers: { authorization: `Bearer ${tokens['triage-agent']}` },
  })
  assert.equal(denied.status, 403)
  await api('cam', `/grants/${String(given.body['id'])}`, { method: 'DELETE' })
  assert.equal((await send('Granted no more')).status, 403)
  for (const each of await cam.pending()) await cam.vote(each.id, 'deny')
})

test('P10: broken glass passes, is alarmed at once, and is named by every action under it', async () => {
  const body = { connection: 'datadog', reason: 'incident 42, paging is down', duration: '10m' }
  assert.equal((await api('cam', '/break-glass', { method: 'POST', body })).status, 403)
  const broken = await api('ana', '/break-glass', { method: 'POST', body })
  assert.equal(broken.status, 201, JSON.stringify(broken.body))
  assert.equal((await send('Emergency')).status, 200)
  const approval = (await completed('Emergency')).approval!
  assert.deepEqual(
    [approval['kind'], approval['state'], approval['by']],
    ['break-glass', 'overridden', 'ana@example.com'],
  )
  const alarm = await until('the alarm', () =>
    hook.taken.map(each => each.body.toString()).find(each => each.includes('break_glass.used')),
  )
  assert.equal((JSON.parse(alarm) as { data: { urgent: boolean } }).data.urgent, true)
  await api('ana', `/break-glass/${String(broken.body['id'])}`, { method: 'DELETE' })
  assert.equal((await send('After the emergency')).status, 403)
  for (const each of await cam.pending()) await cam.vote(each.id, 'deny')
})

test('a click in Slack, linked by the command line, is the vote; the message is rewritten', async () => {
  const held = send('Clicked', { wait: 30 })
  const [pending] = await cam.pending()
  const message = await until('the message', () =>
    [...slack.messages.values()].find(each => JSON.stringify(each.blocks).includes(pending!.id)),
  )
  let at = Date.now() - 100_000
  const click = async (): Promise<string> => {
    const before = slack.ephemeral.length
    at += 1000
    const of = { action: 'sallyport-approve', value: pending!.id, user: 'UCAM', secret: signing, at }
    const { headers, body } = slack.click(of)
    const address = `${gateway.url}/api/v1/integrations/slack/interactions`
    assert.equal((await fetch(address, { method: 'POST', headers, body })).status, 200)
    assert.equal((await fetch(address, { method: 'POST', headers, body })).status, 409, 'a replay is refused')
    return String((await until('the answer', () => slack.ephemeral[before]))['text'])
  }
  const code = /link-slack (\S+)`/.exec(await click())![1]!
  const cli = ['--url', gateway.url, '--token', tokens['cam']!, 'approvals', 'link-slack', code, '--yes']
  const linked = await runCli(cli, { cwd: world.directory })
  assert.equal(linked.code, 0, linked.stderr)
  assert.equal(await click(), 'It is approved.')
  assert.equal((await held).status, 200)
  await until('the update', () => message.updates > 0 || undefined)
  assert.ok(!JSON.stringify(message.blocks).includes('sallyport-approve'))
})

test('P8: no message holds a credential', () => {
  const all = [...slack.messages.values(), ...hook.taken.map(each => each.body.toString())]
  assert.ok(all.length > 4)
  const text = JSON.stringify(all)
  for (const secret of [world.datadog.keys.apiKey, world.datadog.keys.appKey, ...Object.values(tokens)])
    assert.ok(!text.includes(secret))
})
