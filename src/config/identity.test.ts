import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identitySection, isLoopbackHost } from './identity.ts'

const base = { name: 'okta', issuer: 'https://okta.example.com', audience: 'sallyport' }

const problems = (...issuers: object[]) =>
  (identitySection.safeParse({ issuers }).error?.issues ?? []).map(issue => issue.path.join('.'))

test('the least that is needed, and what follows from it', () => {
  const { issuers, tokens } = identitySection.parse({ issuers: [base] })
  assert.deepEqual(issuers[0]!.audience, ['sallyport'])
  assert.deepEqual(issuers[0]!.kind, { otherwise: 'auto', when: [] })
  assert.equal(issuers[0]!.clock_skew, 60_000)
  assert.ok(!issuers[0]!.algorithms.some(alg => alg.startsWith('HS')))
  assert.equal(tokens.max_lifetime, 90 * 86_400_000)
})

test('P6: what would weaken the check is a mistake in the file', () => {
  assert.deepEqual(problems({ ...base, audience: undefined }), ['issuers.0.audience'])
  assert.deepEqual(problems({ ...base, audience: [] }), ['issuers.0.audience'])
  assert.deepEqual(problems({ ...base, audience: '' }), ['issuers.0.audience'])
  assert.deepEqual(problems({ ...base, algorithms: ['HS256'] }), ['issuers.0.algorithms.0'])
  assert.deepEqual(problems({ ...base, algorithms: ['none'] }), ['issuers.0.algorithms.0'])
  assert.deepEqual(problems({ ...base, algorithms: [] }), ['issuers.0.algorithms'])
  assert.deepEqual(problems({ ...base, issuer: 'http://okta.example.com' }), ['issuers.0.issuer'])
  assert.deepEqual(problems({ ...base, issuer: 'ftp://okta.example.com' }), ['issuers.0.issuer'])
  assert.deepEqual(problems({ ...base, issuer: 'okta' }), ['issuers.0.issuer'])
  assert.deepEqual(problems({ ...base, issuer: 'https://u@okta.example.com' }), ['issuers.0.issuer'])
  assert.deepEqual(problems({ ...base, jwks_uri: 'http://okta.example.com/jwks' }), ['issuers.0.jwks_uri'])
  assert.deepEqual(problems({ ...base, jwks_uri: 'https://x.example.com', jwks_file: 'x' }), [
    'issuers.0.jwks_file',
  ])
  assert.deepEqual(problems({ ...base, keys: { max_age: '1m' } }), ['issuers.0.keys'])
  assert.deepEqual(problems({ ...base, audiance: 'x' }).length, 1)
  assert.deepEqual(problems(base, { ...base, name: 'other' }), ['issuers.1.issuer'])
  assert.deepEqual(problems(base, { ...base, issuer: 'https://b.example.com' }), ['issuers.1.name'])
})

test('plain HTTP is for loopback, or where it is asked for by name', () => {
  assert.deepEqual(problems({ ...base, issuer: 'http://127.0.0.1:4000' }), [])
  assert.deepEqual(problems({ ...base, issuer: 'http://idp.internal', allow_insecure_http: true }), [])
  assert.deepEqual(problems({ ...base, issuer: 'spiffe://example.org', jwks_file: 'bundle.json' }), [])
})

test('loopback is loopback', () => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '[::1]'])
    assert.equal(isLoopbackHost(host), true)
  for (const host of ['localhost.example.com', '127.0.0.1.example.com', '128.0.0.1', ''])
    assert.equal(isLoopbackHost(host), false)
})
