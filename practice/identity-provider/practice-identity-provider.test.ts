import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { issuerConfig } from '../../src/config/identity.ts'
import { createAuthenticator } from '../../src/identity/create-authenticator.ts'
import { practiceIssuerSection } from './issuer-section.ts'
import { type PracticeIdentityProvider, startPracticeIdentityProvider } from './practice-identity-provider.ts'

let idp: PracticeIdentityProvider

before(async () => {
  idp = await startPracticeIdentityProvider()
})

after(async () => {
  await idp.close()
})

async function discover(client: string, secret?: string): Promise<oidc.Configuration> {
  const auth = secret === undefined ? oidc.None() : oidc.ClientSecretBasic(secret)
  return oidc.discovery(new URL(idp.issuer), client, {}, auth, { execute: [oidc.allowInsecureRequests] })
}

async function claimsOf(token: string) {
  const jwks = createRemoteJWKSet(new URL(`${idp.issuer}/jwks`))
  return (await jwtVerify(token, jwks, { issuer: idp.issuer, audience: 'sallyport' })).payload
}

test('an agent gets a token for itself by client credentials', async () => {
  const config = await discover('batch-agent', 'practice')
  const claims = await claimsOf((await oidc.clientCredentialsGrant(config)).access_token)
  assert.equal(claims.sub, 'batch-agent')
  assert.deepEqual(claims['groups'], ['agents'])
  assert.equal(claims['act'], undefined)
})

test('an agent of a person gets that person as sub and itself as act', async () => {
  const config = await discover('triage-agent', 'practice')
  const claims = await claimsOf((await oidc.clientCredentialsGrant(config)).access_token)
  assert.equal(claims.sub, 'ana')
  assert.equal(claims['email'], 'ana@example.com')
  assert.deepEqual(claims['act'], { sub: 'triage-agent', name: 'Triage agent' })
})

test('a wrong secret gets nothing', async () => {
  const config = await discover('batch-agent', 'guess')
  await assert.rejects(oidc.clientCredentialsGrant(config), { error: 'invalid_client' })
})

test('a person signs in with a code and PKCE, once per code, and refreshes', async () => {
  const config = await discover('sallyport-cli')
  const verifier = oidc.randomPKCECodeVerifier()
  const redirect_uri = 'http://127.0.0.1:9/callback'
  const nonce = oidc.randomNonce()
  const asked = oidc.buildAuthorizationUrl(config, {
    redirect_uri,
    nonce,
    scope: 'openid',
    state: 's1',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  const page = await (await fetch(asked)).text()
  assert.match(page, /bo@example.com/)
  const chosen = new URLSearchParams(asked.searchParams)
  chosen.set('person', 'bo')
  const back = await fetch(`${idp.issuer}/authorize`, { method: 'POST', body: chosen, redirect: 'manual' })
  const callback = new URL(back.headers.get('location') ?? '')
  const checks = { pkceCodeVerifier: verifier, expectedState: 's1', expectedNonce: nonce }
  const tokens = await oidc.authorizationCodeGrant(config, callback, checks)
  assert.equal((await claimsOf(tokens.access_token)).sub, 'bo')
  assert.equal(tokens.claims()?.aud, 'sallyport-cli')
  await assert.rejects(oidc.authorizationCodeGrant(config, callback, checks), { error: 'invalid_grant' })
  const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token!)
  assert.equal((await claimsOf(renewed.access_token)).sub, 'bo')
})

test('nothing is sent to a redirect address that is not the client’s', async () => {
  const query = new URLSearchParams({
    client_id: 'sallyport-cli',
    response_type: 'code',
    redirect_uri: 'https://elsewhere.example.net/',
    code_challenge: 'x',
    code_challenge_method: 'S256',
    person: 'ana',
  })
  const answer = await fetch(`${idp.issuer}/authorize`, { method: 'POST', body: query, redirect: 'manual' })
  assert.equal(answer.status, 400)
  assert.equal(answer.headers.get('location'), null)
})

test('a device waits, is approved on the page, and its code works once', async () => {
  const config = await discover('sallyport-cli')
  const started = await oidc.initiateDeviceAuthorization(config, { scope: 'openid' })
  const form = {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: started.device_code,
  }
  const poll = () =>
    fetch(`${idp.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({ ...form, client_id: 'sallyport-cli' }),
    })
  assert.deepEqual(((await (await poll()).json()) as { error: string }).error, 'authorization_pending')
  const choice = new URLSearchParams({ user_code: started.user_code.toLowerCase(), person: 'cam' })
  assert.equal((await fetch(`${idp.issuer}/device`, { method: 'POST', body: choice })).status, 200)
  const tokens = (await (await poll()).json()) as { access_token: string }
  assert.equal((await claimsOf(tokens.access_token)).sub, 'cam')
  assert.equal((await poll()).status, 400)
})

test('token exchange makes the caller the actor and keeps the actor before it', async () => {
  const exchange = async (client: string, subject_token: string) => {
    const config = await discover(client, 'practice')
    const subject_token_type = 'urn:ietf:params:oauth:token-type:access_token'
    const type = 'urn:ietf:params:oauth:grant-type:token-exchange'
    return (await oidc.genericGrantRequest(config, type, { subject_token, subject_token_type })).access_token
  }
  const first = await exchange('triage-agent', await idp.mintFor('bo'))
  const second = await exchange('batch-agent', first)
  const claims = await claimsOf(second)
  assert.equal(claims.sub, 'bo')
  const inner = { sub: 'triage-agent', name: 'Triage agent' }
  assert.deepEqual(claims['act'], { sub: 'batch-agent', name: 'Batch agent', act: inner })
  await assert.rejects(exchange('batch-agent', 'not-a-token'), { error: 'invalid_request' })
})

test('keys rotate; forgotten ones are no longer published', async () => {
  const own = await startPracticeIdentityProvider()
  try {
    const kids = async () =>
      ((await (await fetch(`${own.issuer}/jwks`)).json()) as { keys: { kid: string }[] }).keys.map(
        key => key.kid,
      )
    const old = await own.mint({ sub: 'ana' })
    await own.rotate()
    assert.equal(decodeProtectedHeader(old).kid, 'practice-1')
    assert.deepEqual(await kids(), ['practice-1', 'practice-2'])
    await own.rotate({ forget: true, alg: 'RS256' })
    assert.deepEqual(await kids(), ['practice-3'])
    own.outage(true)
    assert.equal((await fetch(`${own.issuer}/jwks`)).status, 503)
  } finally {
    await own.close()
  }
})

test('P9: the gateway sees each inhabitant as what they are', async () => {
  const authenticator = createAuthenticator({ issuers: [issuerConfig(practiceIssuerSection(idp.issuer))] })
  const seen: string[] = []
  for (const name of ['ana', 'triage-agent', 'batch-agent', 'report-service']) {
    const identified = await authenticator.identify({ token: await idp.mintFor(name) })
    assert.ok('subject' in identified)
    const { kind, id, onBehalfOf } = identified.subject
    seen.push(`${kind} ${id} ${onBehalfOf?.email ?? '-'}`)
  }
  await authenticator.close()
  assert.deepEqual(seen, [
    'user ana -',
    'agent triage-agent ana@example.com',
    'agent batch-agent -',
    'service report-service -',
  ])
})
