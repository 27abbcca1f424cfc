import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { approvalsSection } from '../config/approvals.ts'
import { parsePolicy } from '../policy/parse-policy.ts'

const guide = readFileSync(fileURLToPath(new URL('../../docs/guides/approvals.md', import.meta.url)), 'utf8')
const blocks = [...guide.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(match => match[1]!)

test('each configuration of the guide is valid', () => {
  assert.ok(blocks.length >= 4)
  for (const text of blocks) {
    const { policy, approvals } = parse(text) as { policy?: object; approvals?: object }
    if (approvals !== undefined) approvalsSection.parse(approvals)
    if (policy !== undefined) assert.ok('policy' in parsePolicy(JSON.stringify(policy), 'guide'), text)
  }
})

test('a configuration with a mistake is refused', () => {
  const wrong = [
    { notifiers: [{ name: 'a', type: 'slack', channel: 'x' }] },
    {
      notifiers: [
        {
          name: 'a',
          type: 'email',
          host: 'mail.example.com',
          tls: 'none',
          from: 'a@b.example',
          to: ['c@d.example'],
        },
      ],
    },
    { notifiers: [{ name: 'a', type: 'webhook', url: 'http://example.com/', secret: '${env:X}' }] },
    { notifiers: [{ name: 'a', type: 'teams', url: 'https://example.com/in-the-clear' }] },
    { grants: { approvers: ['sre'] } },
  ]
  for (const each of wrong)
    assert.equal(approvalsSection.safeParse(each).success, false, JSON.stringify(each))
})

test('the guide names every reason a client can hear', () => {
  const refusals = readFileSync(fileURLToPath(new URL('./refusals.ts', import.meta.url)), 'utf8')
  for (const [, reason] of refusals.matchAll(/reason: '(approval-[a-z]+)'/g))
    assert.ok(guide.includes(`\`${reason}\``), reason)
})
