import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import {
  CompactEncrypt,
  type CryptoKey as JoseKey,
  exportSPKI,
  importJWK,
  type JWTPayload,
  SignJWT,
} from 'jose'
import {
  type PracticeIdentityProvider,
  startPracticeIdentityProvider,
} from '../../practice/identity-provider/practice-identity-provider.ts'
import { issuerConfig } from '../config/identity.ts'
import type { Identified } from './authenticator.ts'
import { createAuthenticator, type OpenAuthenticator } from './create-authenticator.ts'
import type { RefusalReason } from './refusals.ts'

let idp: PracticeIdentityProvider
let rsa: PracticeIdentityProvider
let authenticator: OpenAuthenticator
const now = () => Math.floor(Date.now() / 1000)

before(async () => {
  idp = await startPracticeIdentityProvider()
  rsa = await startPracticeIdentityProvider({ alg: 'RS256' })
  authenticator = createAuthenticator({
    issuers: [
      issuerConfig({
        name: 'practice',
        issuer: idp.issuer,
        audience: ['sallyport', 'https://gw.example.com'],
        authorized_parties: ['sallyport-cli', 'triage-agent'],
        required_claims: { tenant: ['t1', 't2'] },
        actor: { allowed: ['triage-agent', 'batch-agent'] },
      }),
      issuerConfig({ name: 'rsa', issuer: rsa.issuer, audience: 'sallyport', algorithms: ['RS256'] }),
    ],
  })
})

after(async () => {
  await authenticator.close()
  await idp.close()
  await rsa.close()
})

const good = { sub: 'ana', azp: 'sallyport-cli', tenant: 't1', groups: ['sre'] }

function reasonOf(identified: Identified): RefusalReason | 'accepted' {
  return 'refusal' in identified ? identified.refusal.reason : 'accepted'
}

async function verdictOn(token: string): Promise<RefusalReason | 'accepted'> {
  return reasonOf(await authenticator.identify({ token }))
}

function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** The claims of the good token with some changed, signed by the issuer itself. */
const mint = (changes: JWTPayload = {}, header: Record<string, unknown> = {}) =>
  idp.mint({ ...good, ...changes }, { header })

async function signedHeader(text: string, payload: string): Promise<string> {
  const input = `${encode(text)}.${encode(payload)}`
  const { subtle } = globalThis.crypto
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' }
  const signature = await subtle.sign(algorithm, idp.keys.current.privateKey, Buffer.from(input))
  return `${input}.${Buffer.from(signature).toString('base64url')}`
}

function payloadText(): string {
  return JSON.stringify({ iss: idp.issuer, aud: 'sallyport', exp: now() + 60, ...good })
}

/** Every attack and mistake with the reason that must be found for it. */
const golden: readonly [string, RefusalReason | 'accepted', () => string | Promise<string>][] = [
  ['a good token', 'accepted', () => mint()],
  ['a plain JWT', 'accepted', () => mint({}, { typ: 'JWT' })],
  ['the long form of at+jwt', 'accepted', () => mint({}, { typ: 'application/at+jwt' })],
  ['one audience of several', 'accepted', () => mint({ aud: ['other', 'https://gw.example.com'] })],
  ['expired within the skew', 'accepted', () => mint({ exp: now() - 30 })],
  ['may_act only', 'accepted', () => mint({ may_act: { sub: 'anyone' } })],
  ['nothing', 'token-unrecognized', () => ''],
  ['a word', 'token-unrecognized', () => 'hello'],
  ['two segments', 'token-malformed', () => 'a.b'],
  ['four segments', 'token-malformed', () => 'a.b.c.d'],
  ['segments without end', 'token-malformed', () => '.'.repeat(10_000)],
  ['a JWE', 'token-encrypted', encrypted],
  [
    'two tokens in one',
    'token-encrypted',
    async () => `${await mint()}.${await mint()}`.split('.').slice(0, 5).join('.'),
  ],
  ['a huge token', 'token-too-large', () => mint({ pad: 'x'.repeat(20_000) })],
  ['a huge string', 'token-too-large', () => `a.${'b'.repeat(1_000_000)}.c`],
  ['an array as header', 'token-malformed', () => `${encode('[]')}.${encode('{}')}.${encode('x')}`],
  [
    'null as payload',
    'token-malformed',
    () => `${encode('{"alg":"ES256"}')}.${encode('null')}.${encode('x')}`,
  ],
  [
    'a header that is no UTF-8',
    'token-malformed',
    () => `${Buffer.from([0xff, 0xfe]).toString('base64url')}.e30.AA`,
  ],
  [
    'deep nesting',
    'token-malformed',
    () => `${encode('{"alg":"ES256"}')}.${encode(`{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`)}.AA`,
  ],
  ['padding after base64url', 'token-malformed', async () => `${await mint()}==`],
  ['a line break inside', 'token-malformed', async () => (await mint()).replace('.', '\n.')],
  ['no algorithm', 'token-malformed', () => `${encode('{}')}.${encode({ iss: idp.issuer })}.AA`],
  [
    'a number as kid',
    'token-malformed',
    () => `${encode('{"alg":"ES256","kid":1}')}.${encode({ iss: idp.issuer })}.AA`,
  ],
  [
    'alg none, no signature',
    'algorithm-refused',
    () => `${encode('{"alg":"none"}')}.${encode(payloadText())}.`,
  ],
  ['alg NoNe', 'algorithm-refused', () => `${encode('{"alg":"NoNe"}')}.${encode(payloadText())}.AA`],
  ['HS256 with the public key as secret', 'algorithm-refused', hmacWithPublicKey],
  [
    'an algorithm not listed',
    'algorithm-refused',
    () => rsa.mint({ sub: 'x' }, { header: { alg: 'ES256' }, key: idp.keys.current }),
  ],
  [
    'crit',
    'critical-header',
    () => signedHeader('{"alg":"ES256","kid":"practice-1","crit":["exp"],"exp":1}', payloadText()),
  ],
  [
    'an empty crit',
    'critical-header',
    () => signedHeader('{"alg":"ES256","kid":"practice-1","crit":[]}', payloadText()),
  ],
  ['an embedded key', 'embedded-key', embeddedKey],
  [
    'alg twice',
    'token-malformed',
    () => signedHeader('{"alg":"none","kid":"practice-1","alg":"ES256"}', payloadText()),
  ],
  [
    'sub twice',
    'token-malformed',
    () => signedHeader('{"alg":"ES256","kid":"practice-1"}', payloadText().replace('{', '{"sub":"root",')),
  ],
  [
    'sub twice, escaped',
    'token-malformed',
    () =>
      signedHeader('{"alg":"ES256","kid":"practice-1"}', payloadText().replace('{', '{"s\\u0075b":"root",')),
  ],
  ['a logout token', 'type-refused', () => mint({}, { typ: 'logout+jwt' })],
  ['a DPoP proof', 'type-refused', () => mint({}, { typ: 'dpop+jwt' })],
  [
    'typ that is no text',
    'type-refused',
    () => signedHeader('{"alg":"ES256","kid":"practice-1","typ":7}', payloadText()),
  ],
  ['an unknown issuer', 'issuer-unknown', () => mint({ iss: 'https://evil.example.net' })],
  ['the issuer with a slash more', 'issuer-unknown', () => mint({ iss: `${idp.issuer}/` })],
  ['the issuer in capitals', 'issuer-unknown', () => mint({ iss: idp.issuer.toUpperCase() })],
  ['no issuer', 'issuer-unknown', () => mint({ iss: undefined as unknown as string })],
  ['a list of issuers', 'issuer-unknown', () => mint({ iss: [idp.issuer] as unknown as string })],
  ['an issuer called __proto__', 'issuer-unknown', () => mint({ iss: '__proto__' })],
  [
    'the key of another issuer',
    'key-unknown',
    () => rsa.mint({ iss: idp.issuer, ...good }, { key: rsa.keys.current, header: { alg: 'RS256' } }),
  ],
  ['a kid nobody knows', 'key-unknown', () => mint({}, { kid: 'nobody' })],
  ['a stranger’s key under a known kid', 'signature-invalid', () => strangerSigned({})],
  ['a stranger’s key behind jku', 'signature-invalid', () => strangerSigned({ jku: `${rsa.issuer}/evil` })],
  ['a stranger’s key behind x5u', 'signature-invalid', () => strangerSigned({ x5u: `${rsa.issuer}/evil` })],
  [
    'an empty signature',
    'token-malformed',
    async () => `${(await mint()).split('.').slice(0, 2).join('.')}.`,
  ],
  ['expired', 'token-expired', () => mint({ exp: now() - 61 })],
  ['no exp', 'expiry-missing', () => mint({ exp: undefined as unknown as number })],
  ['exp as text', 'token-malformed', () => mint({ exp: '9999999999' as unknown as number })],
  ['exp beyond reason', 'token-malformed', () => mint({ exp: 1e300 })],
  ['not yet valid', 'not-yet-valid', () => mint({ nbf: now() + 120 })],
  ['made in the future', 'not-yet-valid', () => mint({ iat: now() + 120 })],
  ['another audience', 'audience-mismatch', () => mint({ aud: 'https://other.example.com' })],
  ['a part of the audience', 'audience-mismatch', () => mint({ aud: 'sally' })],
  ['no audience', 'audience-mismatch', () => mint({ aud: undefined as unknown as string })],
  [
    'an audience that is no text',
    'audience-mismatch',
    () => mint({ aud: ['sallyport', 7] as unknown as string[] }),
  ],
  ['another client', 'party-refused', () => mint({ azp: 'other-app' })],
  ['two clients, one of them refused', 'party-refused', () => mint({ client_id: 'other-app' })],
  ['no client', 'party-refused', () => mint({ azp: undefined })],
  ['another tenant', 'claim-mismatch', () => mint({ tenant: 't3' })],
  ['no tenant', 'claim-mismatch', () => mint({ tenant: undefined })],
  ['a token bound to a key', 'proof-required', () => mint({ cnf: { jkt: 'x' } })],
  ['no subject', 'subject-invalid', () => mint({ sub: undefined as unknown as string })],
  ['a number as subject', 'subject-invalid', () => mint({ sub: 7 as unknown as string })],
  ['a subject with a line break', 'subject-invalid', () => mint({ sub: 'ana\nroot' })],
  [
    'a subject with half a character',
    'subject-invalid',
    () => signedHeader('{"alg":"ES256","kid":"practice-1"}', payloadText().replace('"ana"', '"\\ud800"')),
  ],
  ['groups as object', 'groups-invalid', () => mint({ groups: { sre: true } })],
  ['a group that is no text', 'groups-invalid', () => mint({ groups: ['sre', 7] })],
  [
    'groups kept elsewhere',
    'groups-incomplete',
    () => mint({ groups: undefined, _claim_names: { groups: 'src1' } }),
  ],
  ['act as text', 'actor-invalid', () => mint({ act: 'triage-agent' })],
  ['act without sub', 'actor-invalid', () => mint({ act: { client_id: 'triage-agent' } })],
  ['act null', 'actor-invalid', () => mint({ act: null })],
  ['act nested badly', 'actor-invalid', () => mint({ act: { sub: 'triage-agent', act: { sub: 7 } } })],
  ['act nested too deep', 'actor-invalid', () => mint({ act: nestedActor(9) })],
  ['an actor that is not allowed', 'actor-refused', () => mint({ act: { sub: 'other-agent' } })],
  [
    'an actor of another issuer',
    'actor-refused',
    () => mint({ act: { sub: 'triage-agent', iss: rsa.issuer } }),
  ],
]

for (const [title, expected, make] of golden) {
  test(`P6: ${title}: ${expected}`, async () => {
    assert.equal(await verdictOn(await make()), expected)
  })
}

test('P6: no address in a token is ever asked', () => {
  assert.equal(rsa.requests.has('/evil'), false)
})

test('P6: no mutation of a good token verifies', async () => {
  const token = await mint()
  assert.equal(await verdictOn(token), 'accepted')
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0'
  const place = fc.nat({ max: token.length - 1 })
  const mutation = fc.oneof(
    fc.record({ at: place, put: fc.constantFrom(...alphabet.split('')), cut: fc.constantFrom(0, 1, 2) }),
    fc.record({ at: place, put: fc.string({ maxLength: 4 }), cut: fc.nat({ max: 40 }) }),
  )
  await fc.assert(
    fc.asyncProperty(mutation, async ({ at, put, cut }) => {
      const mutated = token.slice(0, at) + put + token.slice(at + cut)
      if (mutated === token) return
      assert.notEqual(await verdictOn(mutated), 'accepted')
    }),
    { numRuns: 600 },
  )
})

test('P6: the last character of a signature has one spelling', async () => {
  const token = await mint()
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const accepted: string[] = []
  for (const last of alphabet) {
    if ((await verdictOn(token.slice(0, -1) + last)) === 'accepted') accepted.push(last)
  }
  assert.deepEqual(accepted, [token.at(-1)])
})

test('P6: hostile text is a refusal, never a throw', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.base64String(), fc.string(), fc.json().map(encode)), { maxLength: 6 }),
      async parts => {
        assert.notEqual(await verdictOn(parts.join('.')), 'accepted')
      },
    ),
    { numRuns: 300 },
  )
})

test('P9: what a refused token says of itself is trimmed and marked as a claim', async () => {
  const token = await mint({ iss: 'https://evil.example.net/\u0007', sub: 'x'.repeat(5000) })
  const identified = await authenticator.identify({ token })
  assert.ok('refusal' in identified)
  assert.equal(identified.refusal.claimed?.issuer, 'https://evil.example.net/\uFFFD')
  assert.equal(identified.refusal.claimed.subject?.length, 200)
})

async function encrypted(): Promise<string> {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return new CompactEncrypt(Buffer.from('{}'))
    .setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A128GCM' })
    .encrypt(publicKey)
}

async function hmacWithPublicKey(): Promise<string> {
  const pem = await exportSPKI((await importJWK(idp.keys.current.publicJwk, 'ES256')) as JoseKey)
  const input = `${encode('{"alg":"HS256","kid":"practice-1"}')}.${encode(payloadText())}`
  return `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`
}

async function embeddedKey(): Promise<string> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return new SignJWT({ iss: idp.issuer, ...good })
    .setProtectedHeader({ alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }) })
    .setExpirationTime('1m')
    .sign(privateKey)
}

async function strangerSigned(header: Record<string, string>): Promise<string> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return new SignJWT({ iss: idp.issuer, aud: 'sallyport', ...good })
    .setProtectedHeader({ alg: 'ES256', kid: 'practice-1', ...header })
    .setExpirationTime('1m')
    .sign(privateKey)
}

function nestedActor(depth: number): object {
  return { sub: 'triage-agent', ...(depth > 1 ? { act: nestedActor(depth - 1) } : {}) }
}
