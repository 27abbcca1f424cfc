/** What a SAML answer has to be to prove anybody, and the known ways to forge one. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { type SamlSignIn, signInSection } from '../../config/sign-in.ts'
import { SamlSignInFlow } from './saml-sign-in.ts'
import {
  assertionOf,
  entityId,
  type Facts,
  minutes,
  responseOf,
  sign,
  wrappings,
} from './testing/forge-saml.ts'
import { SignInRefused } from './sign-in-refused.ts'

const testing = fileURLToPath(new URL('../testing/', import.meta.url))
const otherKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
}) as string
const at = {
  acs: 'https://gw.example.com/auth/saml/corp/acs',
  metadata: 'https://gw.example.com/auth/saml/corp/metadata',
}
const provider = signInSection.parse({
  providers: [
    {
      id: 'corp',
      kind: 'saml',
      entity_id: entityId,
      sso_url: 'https://idp.example.com/sso',
      certificates: ['loopback-certificate.pem'],
    },
  ],
}).providers[0] as SamlSignIn
const pending = { provider: 'corp', returnTo: '/console/', secrets: { request: '_request' } }

const facts = { audience: at.metadata, recipient: at.acs, inResponseTo: '_request' }
const answer = (change: Partial<Facts> = {}): string =>
  responseOf(assertionOf({ ...facts, ...change }), facts)

function finish(xml: string, encode = true) {
  const flow = new SamlSignInFlow(provider, testing)
  return flow.finish(encode ? Buffer.from(xml).toString('base64') : xml, pending, at)
}

const good = (): string => sign(answer())

test('a signed answer to this request proves who signed in, with their groups', async () => {
  assert.deepEqual(await finish(good()), {
    issuer: entityId,
    id: 'cam',
    kind: 'user',
    email: 'cam@example.com',
    groups: ['security', 'sre'],
    method: 'saml',
    claims: {},
  })
  const both = sign(good(), { element: 'Response' })
  assert.equal((await finish(both)).id, 'cam')
})

test('the request and the metadata name the gateway', async () => {
  const flow = new SamlSignInFlow(provider, testing)
  const { url, secrets } = await flow.begin(at)
  assert.ok(url.startsWith('https://idp.example.com/sso?SAMLRequest='))
  assert.match(secrets['request']!, /^_[0-9a-f]{40}$/)
  const metadata = await flow.metadata(at)
  assert.ok(metadata.includes(at.acs) && metadata.includes(at.metadata))
  assert.match(metadata, /WantAssertionsSigned="true"/)
})

const attacks: Readonly<Record<string, () => string>> = {
  unsigned: () => answer(),
  'the response alone signed': () => sign(answer(), { element: 'Response' }),
  'signed by another key': () => sign(answer(), { privateKey: otherKey }),
  'of another issuer': () => sign(answer({ issuer: 'https://other.example.com' })),
  'for another audience': () => sign(answer({ audience: 'https://other.example.com' })),
  'for any audience': () => sign(answer({ audience: '' })),
  'for another recipient': () => sign(answer({ recipient: 'https://other.example.com/acs' })),
  'to another destination': () =>
    sign(responseOf(assertionOf(facts), { ...facts, recipient: 'https://other.example.com' })),
  expired: () => sign(answer({ until: minutes(-10) })),
  'confirmed too long ago': () => sign(answer({ confirmedUntil: minutes(-10) })),
  'to another request': () =>
    sign(responseOf(assertionOf({ ...facts, inResponseTo: '_other' }), { ...facts, inResponseTo: '_other' })),
  'to another request inside': () => sign(answer({ inResponseTo: '_other' })),
  'to no request': () => sign(answer()).replace(/ InResponseTo="_request"/, ''),
  'a comment in the name': () => sign(answer({ nameId: 'admin@example.com<!---->.evil.example.com' })),
  'a comment put in afterwards': () => good().replace('>cam<', '>c<!-- -->am<'),
  'an instruction in the name': () => good().replace('>cam<', '>c<?x y?>am<'),
  'an external entity': () =>
    `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>${good().replace('>cam<', '>&x;<')}`,
  'entities that grow': () =>
    `<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>${good().replace('>cam<', '>&b;<')}`,
  'SHA-1': () => sign(answer(), { algorithm: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' }),
  'no XML': () => 'hello',
  nothing: () => '',
  ...Object.fromEntries(
    Object.entries(wrappings(facts)).map(([name, xml]) => [`wrapped: ${name}`, () => xml]),
  ),
}

for (const [name, forge] of Object.entries(attacks)) {
  test(`P9: a SAML answer that is ${name} proves nobody`, async () => {
    await assert.rejects(finish(forge()), SignInRefused)
  })
}

test('P12: an answer that is too large is not read', async () => {
  await assert.rejects(finish('A'.repeat(300_000), false), SignInRefused)
})
