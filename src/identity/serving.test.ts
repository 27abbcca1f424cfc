import assert from 'node:assert/strict'
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import Provider from 'oidc-provider'
import * as oidc from 'openid-client'
import { startPracticeIdentityProvider } from '../../practice/identity-provider/practice-identity-provider.ts'
import { systemClock } from '../clock.ts'
import { issuerConfig } from '../config/identity.ts'
import type { Identified } from './authenticator.ts'
import { createAuthenticator } from './create-authenticator.ts'
import type { FetchDocument } from './fetch-document.ts'
import { IssuerKeys } from './issuer-keys.ts'

type IssuerInput = Parameters<typeof issuerConfig>[0]

const signingKeys: Record<string, JsonWebKey> = Object.fromEntries(
  ['one', 'two'].map(kid => [
    kid,
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  ]),
)

const reasonOf = (identified: Identified) =>
  'refusal' in identified ? identified.refusal.reason : 'accepted'

async function practice(t: TestContext, more: Partial<IssuerInput> = {}) {
  const idp = await startPracticeIdentityProvider()
  const clock = { ahead: 0, now: () => Date.now() + clock.ahead }
  const config = issuerConfig({ name: 'practice', issuer: idp.issuer, audience: 'sallyport', ...more })
  const authenticator = createAuthenticator({ issuers: [config], clock })
  t.after(async () => {
    await authenticator.close()
    await idp.close()
  })
  const verdictOn = async (token: string) => reasonOf(await authenticator.identify({ token }))
  return { idp, clock, config, authenticator, verdictOn }
}

test('a verified token is answered without waiting, by the same subject', async t => {
  const { idp, authenticator } = await practice(t)
  const token = await idp.mintFor('ana')
  const first = await authenticator.identify({ token })
  const second = authenticator.identify({ token })
  assert.ok(!(second instanceof Promise))
  assert.equal(second, first)
  assert.ok('subject' in second && Object.isFrozen(second.subject))
})

test('P6: a cached token ends at its time, skew included', async t => {
  const { idp, clock, authenticator, verdictOn } = await practice(t, { clock_skew: 5 })
  const token = await idp.mint({ sub: 'ana' }, { lifetime: 100 })
  assert.equal(await verdictOn(token), 'accepted')
  clock.ahead = 103_000
  assert.equal(await verdictOn(token), 'accepted')
  assert.ok(!(authenticator.identify({ token }) instanceof Promise))
  clock.ahead = 106_000
  assert.equal(await verdictOn(token), 'token-expired')
})

test('keys rotate while tokens are being served', async t => {
  const { idp, verdictOn } = await practice(t)
  const old = await idp.mintFor('ana')
  assert.equal(await verdictOn(old), 'accepted')
  await idp.rotate({ alg: 'RS256' })
  const fresh = await idp.mintFor('bo')
  const verdicts = await Promise.all([old, fresh, old, fresh, fresh].map(verdictOn))
  assert.deepEqual(new Set(verdicts), new Set(['accepted']))
  assert.equal(idp.requests.get('/jwks'), 2)
})

test('P6: a cached token dies with its key', async t => {
  const { idp, clock, verdictOn } = await practice(t)
  const token = await idp.mintFor('ana')
  assert.equal(await verdictOn(token), 'accepted')
  await idp.rotate({ forget: true })
  clock.ahead = 300_000
  assert.equal(await verdictOn(token), 'accepted', 'the refresh goes on behind the request that found it due')
  await until(() => (idp.requests.get('/jwks') ?? 0) >= 2)
  await until(async () => (await verdictOn(token)) !== 'accepted')
  assert.equal(await verdictOn(token), 'key-unknown')
})

test('P6: through an outage cached tokens live as long as the keys may, and no longer', async t => {
  const { idp, clock, verdictOn, authenticator } = await practice(t, { keys: { max_age: '30m' } })
  const token = await idp.mint({ sub: 'ana' }, { lifetime: 86_400 })
  assert.equal(await verdictOn(token), 'accepted')
  idp.outage(true)
  clock.ahead = 29 * 60_000
  assert.equal(await verdictOn(token), 'accepted')
  clock.ahead = 31 * 60_000
  await assert.rejects(verdictOn(token), { code: 'identity-unavailable' })
  assert.equal(authenticator.status()[0]!.ok, false)
  idp.outage(false)
  clock.ahead += 60_000
  assert.equal(await verdictOn(token), 'accepted')
  assert.equal(authenticator.status()[0]!.ok, true)
})

test('P6: an outage of one issuer harms no other', async t => {
  const [one, two] = [await startPracticeIdentityProvider(), await startPracticeIdentityProvider()]
  t.after(() => Promise.all([one.close(), two.close()]))
  const issuers = [one, two].map((each, i) =>
    issuerConfig({ name: `idp-${i}`, issuer: each.issuer, audience: 'sallyport' }),
  )
  const authenticator = createAuthenticator({ issuers })
  t.after(() => authenticator.close())
  one.outage(true)
  await authenticator.warm()
  await assert.rejects(async () => authenticator.identify({ token: await one.mintFor('ana') }), {
    status: 503,
  })
  assert.equal(reasonOf(await authenticator.identify({ token: await two.mintFor('ana') })), 'accepted')
})

test('P6: a changed configuration counts at once, and keys outlive it even while the issuer is down', async t => {
  const idp = await startPracticeIdentityProvider()
  const keys = new IssuerKeys({ clock: systemClock })
  t.after(() => Promise.all([keys.close(), idp.close()]))
  const of = (more: Partial<IssuerInput>) => [
    issuerConfig({ name: 'practice', issuer: idp.issuer, audience: 'sallyport', ...more }),
  ]
  const before = createAuthenticator({ issuers: of({}), keys })
  const token = await idp.mintFor('ana')
  assert.equal(reasonOf(await before.identify({ token })), 'accepted')
  idp.outage(true)
  const same = createAuthenticator({ issuers: of({ clock_skew: 1 }), keys })
  await before.close()
  await keys.retain(of({}))
  assert.equal(reasonOf(await same.identify({ token })), 'accepted')
  const stricter = createAuthenticator({ issuers: of({ authorized_parties: ['other'] }), keys })
  assert.equal(reasonOf(await stricter.identify({ token })), 'party-refused')
  await keys.retain([])
  const later = createAuthenticator({ issuers: of({}), keys })
  await assert.rejects(async () => later.identify({ token }), { code: 'identity-unavailable' })
})

test('one token shown by many at once is verified once', async t => {
  const { idp, authenticator } = await practice(t)
  const token = await idp.mintFor('ana')
  const all = await Promise.all(Array.from({ length: 20 }, async () => authenticator.identify({ token })))
  assert.equal(new Set(all).size, 1)
  assert.equal(reasonOf(all[0]!), 'accepted')
})

test('P12: an issuer may set a smaller limit on its tokens', async t => {
  const { idp, verdictOn } = await practice(t, { max_token_bytes: '1KiB' })
  assert.equal(await verdictOn(await idp.mintFor('ana')), 'accepted')
  assert.equal(await verdictOn(await idp.mint({ sub: 'ana', pad: 'x'.repeat(1000) })), 'token-too-large')
})

test('P12: no more tokens are remembered than configured', async t => {
  const idp = await startPracticeIdentityProvider()
  const issuers = [issuerConfig({ name: 'practice', issuer: idp.issuer, audience: 'sallyport' })]
  const authenticator = createAuthenticator({ issuers, cachedTokens: 2 })
  t.after(() => Promise.all([authenticator.close(), idp.close()]))
  const tokens = await Promise.all(['ana', 'bo', 'cam'].map(name => idp.mintFor(name)))
  for (const token of tokens) await authenticator.identify({ token })
  const waits = tokens.map(token => authenticator.identify({ token }) instanceof Promise)
  assert.deepEqual(waits, [true, false, false])
})

test('of a hundred issuers only the one that a token names is asked', async t => {
  const idp = await startPracticeIdentityProvider()
  t.after(() => idp.close())
  const asked: string[] = []
  const documents = async (url: URL): Promise<unknown> => {
    asked.push(url.href)
    if (url.pathname.startsWith('/.well-known')) return { issuer: url.origin, jwks_uri: `${url.origin}/jwks` }
    return idp.keys.jwks()
  }
  const fetchDocument: FetchDocument = Object.assign(documents, { close: () => Promise.resolve() })
  const issuers = Array.from({ length: 100 }, (_, i) =>
    issuerConfig({ name: `idp-${i}`, issuer: `https://idp-${i}.example.com`, audience: 'sallyport' }),
  )
  const keys = new IssuerKeys({ clock: systemClock, fetchDocument })
  const authenticator = createAuthenticator({ issuers, keys })
  const token = await idp.mint({ iss: 'https://idp-63.example.com', sub: 'ana' })
  const identified = await authenticator.identify({ token })
  assert.ok('subject' in identified)
  assert.equal(identified.subject.issuer, 'https://idp-63.example.com')
  assert.deepEqual(asked, [
    'https://idp-63.example.com/.well-known/openid-configuration',
    'https://idp-63.example.com/jwks',
  ])
  await authenticator.close()
})

test('keys from a file, for a JWT-SVID that has no issuer', async t => {
  const idp = await startPracticeIdentityProvider()
  const base = await mkdtemp(join(tmpdir(), 'sallyport-'))
  t.after(() => Promise.all([idp.close(), rm(base, { recursive: true })]))
  const keys = idp.keys.jwks().keys.map(key => ({ ...key, use: 'jwt-svid' }))
  await writeFile(join(base, 'bundle.json'), JSON.stringify({ keys, spiffe_sequence: 1 }))
  const issuers = [
    issuerConfig({
      name: 'spire',
      issuer: 'spiffe://example.org',
      audience: 'sallyport',
      jwks_file: 'bundle.json',
      kind: 'agent',
    }),
  ]
  const authenticator = createAuthenticator({ issuers, keys: new IssuerKeys({ clock: systemClock, base }) })
  const iss = undefined as unknown as string
  const identified = await authenticator.identify({
    token: await idp.mint({ iss, sub: 'spiffe://example.org/ns/a' }),
  })
  assert.ok('subject' in identified)
  assert.deepEqual([identified.subject.id, identified.subject.kind], ['spiffe://example.org/ns/a', 'agent'])
  for (const sub of ['spiffe://example.org.evil/a', 'spiffe://example.org', 'xspiffe://example.org/a']) {
    const other = await authenticator.identify({ token: await idp.mint({ iss, sub }) })
    assert.equal(reasonOf(other), 'issuer-unknown', sub)
  }
  await authenticator.close()
})

test('a certified identity provider: client credentials, then its keys rotate', async t => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  let handle = certified(issuer, 'one').callback()
  server.on('request', (request, response) => void handle(request, response))
  const issuers = [issuerConfig({ name: 'real', issuer, audience: 'https://gw.example.com' })]
  const authenticator = createAuthenticator({ issuers })
  t.after(() => authenticator.close())
  const ask = async () => {
    const config = await oidc.discovery(new URL(issuer), 'agent', {}, oidc.ClientSecretBasic('secret'), {
      execute: [oidc.allowInsecureRequests],
    })
    return (await oidc.clientCredentialsGrant(config, { resource: 'https://gw.example.com' })).access_token
  }
  for (const kid of ['one', 'two']) {
    handle = certified(issuer, kid).callback()
    const identified = await authenticator.identify({ token: await ask() })
    assert.ok('subject' in identified, kid)
    const { id, kind } = identified.subject
    assert.deepEqual({ id, kind }, { id: 'agent', kind: 'service' })
  }
})

/** oidc-provider with one client that may ask for itself, and a signing key of this name. */
function certified(issuer: string, kid: string): Provider {
  const resource = 'https://gw.example.com'
  return new Provider(issuer, {
    jwks: { keys: [{ ...signingKeys[kid]!, kid, use: 'sig', alg: 'ES256' }] },
    clients: [
      {
        client_id: 'agent',
        client_secret: 'secret',
        grant_types: ['client_credentials'],
        id_token_signed_response_alg: 'ES256',
        redirect_uris: [],
        response_types: [],
      },
    ],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => ({
          scope: '',
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  })
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 2000 && !(await holds()); i++) await new Promise(resolve => setImmediate(resolve))
}
