import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { inspect } from 'node:util'
import {
  type PracticeIdentityProvider,
  startPracticeIdentityProvider,
} from '../../../practice/identity-provider/practice-identity-provider.ts'
import { oauthSection } from '../../config/oauth.ts'
import type { Connection } from '../../model/connection.ts'
import { createCredentials } from '../credentials.ts'

let base: string
let provider: PracticeIdentityProvider

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'sallyport-oauth-'))
  await writeFile(join(base, 'secret'), 'practice\n')
  provider = await startPracticeIdentityProvider({ lifetime: 600 })
})

after(async () => {
  await provider.close()
  await rm(base, { recursive: true })
})

function connection(more: object = {}): Connection {
  const oauth = oauthSection.parse({
    grant: 'client_credentials',
    issuer: provider.issuer,
    client_id: 'report-service',
    client_secret: 'file:secret',
    resource: 'https://notes.example.com/mcp',
    ...more,
  })
  return {
    name: 'notes',
    protocol: 'x',
    sensitivity: 'low',
    labels: {},
    credential: { token: { oauth } },
    settings: {},
  }
}

function claims(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
}

test('one request for all who wait, and none while the token holds', async () => {
  const clock = { at: Date.now(), now: () => clock.at }
  const vault = createCredentials({ base, clock })
  const target = connection()
  const before = provider.requests.get('/token') ?? 0
  const leases = await Promise.all(Array.from({ length: 20 }, () => vault.lease({ target })))
  const values = new Set(leases.map(lease => lease.secrets['token']))
  assert.equal(values.size, 1)
  assert.equal(claims([...values][0]!)['aud'], 'https://notes.example.com/mcp')
  clock.at += 500_000
  assert.ok(values.has((await vault.lease({ target })).secrets['token']))
  assert.equal(provider.requests.get('/token'), before + 1)
})

test('a token is replaced ahead of its end, and while it holds nobody waits for a server that is down', async () => {
  const clock = { at: Date.now(), now: () => clock.at }
  const vault = createCredentials({ base, clock })
  const target = connection()
  const first = (await vault.lease({ target })).secrets['token']
  clock.at += 550_000
  provider.outage(true)
  assert.equal((await vault.lease({ target })).secrets['token'], first)
  clock.at += 60_000
  await assert.rejects(vault.lease({ target }), { code: 'credential-unavailable' })
  provider.outage(false)
  assert.notEqual((await vault.lease({ target })).secrets['token'], first)
})

test('a token that the upstream refused is asked for anew', async () => {
  const vault = createCredentials({ base })
  const target = connection()
  const lease = await vault.lease({ target })
  const first = lease.secrets['token']
  lease.refused?.()
  assert.notEqual((await vault.lease({ target })).secrets['token'], first)
})

test('P4: the token is among what is masked, and an error says nothing of the secret', async () => {
  const vault = createCredentials({ base })
  const lease = await vault.lease({ target: connection() })
  assert.ok(lease.alsoSecret?.includes(lease.secrets['token']!))
  await writeFile(join(base, 'wrong'), 'not-the-secret\n')
  const refused = await vault.lease({ target: connection({ client_secret: 'file:wrong' }) }).then(
    () => assert.fail('a wrong secret was taken'),
    (error: Error) => error,
  )
  assert.match(inspect(refused), /invalid_client/)
  assert.doesNotMatch(inspect(refused, { depth: 10 }), /not-the-secret/)
})
