/** What a SAML answer has to be to prove anybody, and the known ways to forge one. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { SignedXml } from 'xml-crypto'
import { type SamlSignIn, signInSection } from '../../config/sign-in.ts'
import { SamlSignInFlow } from './saml-sign-in.ts'
import { SignInRefused } from './sign-in-refused.ts'

const testing = fileURLToPath(new URL('../testing/', import.meta.url))
const key = readFileSync(`${testing}loopback-key.pem`, 'utf8')
const otherKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
}) as string
const entity = 'https://idp.example.com/metadata'
const at = {
  acs: 'https://gw.example.com/auth/saml/corp/acs',
  metadata: 'https://gw.example.com/auth/saml/corp/metadata',
}
const provider = signInSection.parse({
  providers: [
    {
      id: 'corp',
      kind: 'saml',
      entity_id: entity,
      sso_url: 'https://idp.example.com/sso',
      certificates: ['loopback-certificate.pem'],
    },
  ],
}).providers[0] as SamlSignIn
const pending = { provider: 'corp', returnTo: '/console/', secrets: { request: '_request' } }

const minutes = (count: number): string => new Date(Date.now() + count * 60_000).toISOString()

interface Facts {
  readonly id?: string
  readonly nameId?: string
  readonly issuer?: string
  readonly audience?: string
  readonly recipient?: string
  readonly inResponseTo?: string
  readonly until?: string
  readonly confirmedUntil?: string
  readonly groups?: readonly string[]
}

function assertionOf(facts: Facts = {}): string {
  const {
    id = '_assertion',
    nameId = 'cam',
    issuer = entity,
    audience = at.metadata,
    recipient = at.acs,
    inResponseTo = '_request',
    until = minutes(5),
    confirmedUntil = until,
    groups = ['security', 'sre'],
  } = facts
  const values = groups.map(each => `<saml:AttributeValue>${each}</saml:AttributeValue>`).join('')
  const restriction =
    audience === ''
      ? ''
      : `<saml:AudienceRestriction><saml:Audience>${audience}</saml:Audience></saml:AudienceRestriction>`
  return `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${id}" IssueInstant="${minutes(0)}" Version="2.0"><saml:Issuer>${issuer}</saml:Issuer><saml:Subject><saml:NameID>${nameId}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="${inResponseTo}" NotOnOrAfter="${confirmedUntil}" Recipient="${recipient}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="${minutes(-5)}" NotOnOrAfter="${until}">${restriction}</saml:Conditions><saml:AuthnStatement AuthnInstant="${minutes(0)}" SessionIndex="_s"/><saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>cam@example.com</saml:AttributeValue></saml:Attribute><saml:Attribute Name="groups">${values}</saml:Attribute></saml:AttributeStatement></saml:Assertion>`
}

function responseOf(assertion: string, { destination = at.acs, inResponseTo = '_request' } = {}): string {
  return `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_response" IssueInstant="${minutes(0)}" Version="2.0" Destination="${destination}" InResponseTo="${inResponseTo}"><saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">${entity}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>${assertion}</samlp:Response>`
}

function sign(
  xml: string,
  {
    element = 'Assertion',
    privateKey = key,
    algorithm = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  } = {},
): string {
  const signed = new SignedXml({ privateKey })
  signed.signatureAlgorithm = algorithm
  signed.canonicalizationAlgorithm = 'http://www.w3.org/2001/10/xml-exc-c14n#'
  signed.addReference({
    xpath: `//*[local-name(.)='${element}']`,
    transforms: [
      'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
      'http://www.w3.org/2001/10/xml-exc-c14n#',
    ],
    digestAlgorithm: 'http://www.w3.org/2001/04/xmlenc#sha256',
  })
  signed.computeSignature(xml, {
    location: {
      reference: `//*[local-name(.)='${element}']/*[local-name(.)='Issuer']`,
      action: 'after',
    },
  })
  return signed.getSignedXml()
}

function finish(xml: string, encode = true) {
  const flow = new SamlSignInFlow(provider, testing)
  return flow.finish(encode ? Buffer.from(xml).toString('base64') : xml, pending, at)
}

/** The element that stands there, whole. */
function cut(xml: string, name: string): string {
  return new RegExp(`<([\\w]+:)?${name}[ >][\\s\\S]*</([\\w]+:)?${name}>`).exec(xml)![0]
}

const good = (): string => sign(responseOf(assertionOf()))

test('a signed answer to this request proves who signed in, with their groups', async () => {
  assert.deepEqual(await finish(good()), {
    issuer: entity,
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

/** Wrapping: what is signed stands where nobody looks, and what is looked at is not signed. */
function wrapped(): Readonly<Record<string, string>> {
  const signed = cut(good(), 'Assertion')
  const signature = cut(signed, 'Signature')
  const evil = assertionOf({ id: '_evil', nameId: 'admin' })
  const unsigned = signed.replace(signature, '')
  const withSignature = evil.replace('</saml:Issuer>', `</saml:Issuer>${signature}`)
  const holding = (inner: string): string => evil.replace('</saml:Issuer>', `</saml:Issuer>${inner}`)
  return {
    'evil before the signed one': responseOf(evil + signed),
    'evil after the signed one': responseOf(signed + evil),
    'the signed one inside the evil one': responseOf(holding(signed)),
    'the evil one with the signature, the signed one inside it': responseOf(
      withSignature.replace('</saml:Assertion>', `${unsigned}</saml:Assertion>`),
    ),
    'the signed one inside the signature': responseOf(
      evil.replace(
        '</saml:Issuer>',
        `</saml:Issuer>${signature.replace('</Signature>', `<Object>${unsigned}</Object></Signature>`)}`,
      ),
    ),
    'the signed one in extensions': responseOf(`<samlp:Extensions>${signed}</samlp:Extensions>${evil}`),
    'the same id twice': responseOf(
      evil.replace('ID="_evil"', 'ID="_assertion"') + `<samlp:Extensions>${signed}</samlp:Extensions>`,
    ),
    'a signed response around another assertion': sign(responseOf(assertionOf()), {
      element: 'Response',
    }).replace(cut(responseOf(assertionOf()), 'Assertion'), evil),
    'another name in what is signed': good().replace('>cam<', '>admin<'),
  }
}

const attacks: Readonly<Record<string, () => string>> = {
  unsigned: () => responseOf(assertionOf()),
  'the response alone signed': () => sign(responseOf(assertionOf()), { element: 'Response' }),
  'signed by another key': () => sign(responseOf(assertionOf()), { privateKey: otherKey }),
  'of another issuer': () => sign(responseOf(assertionOf({ issuer: 'https://other.example.com' }))),
  'for another audience': () => sign(responseOf(assertionOf({ audience: 'https://other.example.com' }))),
  'for any audience': () => sign(responseOf(assertionOf({ audience: '' }))),
  'for another recipient': () =>
    sign(responseOf(assertionOf({ recipient: 'https://other.example.com/acs' }))),
  'to another destination': () =>
    sign(responseOf(assertionOf(), { destination: 'https://other.example.com' })),
  expired: () => sign(responseOf(assertionOf({ until: minutes(-10) }))),
  'confirmed too long ago': () => sign(responseOf(assertionOf({ confirmedUntil: minutes(-10) }))),
  'to another request': () =>
    sign(responseOf(assertionOf({ inResponseTo: '_other' }), { inResponseTo: '_other' })),
  'to another request inside': () => sign(responseOf(assertionOf({ inResponseTo: '_other' }))),
  'to no request': () => sign(responseOf(assertionOf())).replace(/ InResponseTo="_request"/, ''),
  'a comment in the name': () =>
    sign(responseOf(assertionOf({ nameId: 'admin@example.com<!---->.evil.example.com' }))),
  'a comment put in afterwards': () => good().replace('>cam<', '>c<!-- -->am<'),
  'an instruction in the name': () => good().replace('>cam<', '>c<?x y?>am<'),
  'an external entity': () =>
    `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>${good().replace('>cam<', '>&x;<')}`,
  'entities that grow': () =>
    `<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>${good().replace('>cam<', '>&b;<')}`,
  'SHA-1': () => sign(responseOf(assertionOf()), { algorithm: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' }),
  'no XML': () => 'hello',
  nothing: () => '',
  ...Object.fromEntries(Object.entries(wrapped()).map(([name, xml]) => [`wrapped: ${name}`, () => xml])),
}

for (const [name, forge] of Object.entries(attacks)) {
  test(`P9: a SAML answer that is ${name} proves nobody`, async () => {
    await assert.rejects(finish(forge()), SignInRefused)
  })
}

test('P12: an answer that is too large is not read', async () => {
  await assert.rejects(finish('A'.repeat(300_000), false), SignInRefused)
})
