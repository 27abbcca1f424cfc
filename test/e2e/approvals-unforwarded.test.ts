/** A person has said yes, and then the gateway could not even begin: the yes is not lost, and still good for one run. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import type { Entry } from '../../src/audit/events.ts'
import { approver } from '../support/approver.ts'
import { openGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream.ts'
import { createWorld } from '../support/world.ts'

test('P5: an approval whose call never left is good for the same call again, once', async () => {
  await using upstream = await startUpstream((_, response) => void response.end('done'))
  await using world = await createWorld()
  const key = await world.secret('things-key', 'key-of-things')
  await world.configure({
    connections: [
      {
        name: 'things',
        protocol: 'http',
        url: upstream.url,
        credential: { key },
        inject: [{ header: 'X-Api-Key', value: '${key}' }],
      },
    ],
    policy: {
      rules: [{ name: 'ask', effect: 'require_approval', approval: { approvers: ['group:security'] } }],
    },
  })
  await using gateway = await openGateway(world)
  const authorization = `Bearer ${await world.token('triage-agent')}`
  const cam = approver(gateway.url, await world.token('cam'))
  const call = async (): Promise<{ status: number; body: { code?: string; reason?: string } }> => {
    const answer = await fetch(`${gateway.url}/c/things/start`, {
      method: 'POST',
      headers: { authorization, prefer: 'wait=0' },
      body: 'now',
    })
    const text = await answer.text()
    return { status: answer.status, body: answer.ok ? {} : (JSON.parse(text) as object) }
  }
  const noted = async (): Promise<Entry[]> =>
    (await gateway.entries()).filter(({ kind }) => /^approval\.|not_forwarded|completed/.test(kind))

  assert.equal((await call()).body.code, 'approval-pending')
  await cam.approveNext()

  await rm(key.slice('file:'.length))
  for (let i = 0; i < 2; i++) assert.equal((await call()).body.code, 'credential-unavailable')
  assert.deepEqual(upstream.seen, [])
  await world.secret('things-key', 'key-of-things')
  const answers = await Promise.all([call(), call(), call(), call()])
  assert.deepEqual(answers.map(({ status, body }) => `${status} ${body.reason ?? ''}`).sort(), [
    '200 ',
    ...Array.from({ length: 3 }, () => '403 approval-used'),
  ])
  assert.deepEqual(upstream.seen, ['POST /start'])

  const entries = await noted()
  const kinds = entries.map(({ kind }) => kind)
  const lost = ['approval.consumed', 'action.not_forwarded', 'approval.returned']
  assert.deepEqual(kinds.slice(3), [...lost, ...lost, 'approval.consumed', 'action.completed'])
  // Each return names the end that says that nothing was forwarded.
  for (const [i, { kind }] of entries.entries()) {
    if (kind !== 'approval.returned') continue
    const { log, seq } = entries[i - 1]!
    assert.equal(entries[i]!['end'], `${log}/${seq}`)
  }
})
