/** SAML answers posted to a gateway as forgers post them: none signs anybody in, each refusal is an entry. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { after, before, test } from 'node:test'
import { inflateRawSync } from 'node:zlib'
import {
  assertionOf,
  entityId,
  type Facts,
  minutes,
  responseOf,
  sign,
  wrappings,
} from '../../src/identity/sign-in/testing/forge-saml.ts'
import { Browser, type Page } from '../support/browser.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld } from '../support/world.ts'

const certificate = fileURLToPath(
  new URL('../../src/identity/testing/loopback-certificate.pem', import.meta.url),
)
const opened = new AsyncDisposableStack()
let gateway: TestGateway

before(async () => {
  const saml = (id: string) => ({
    id,
    kind: 'saml' as const,
    entity_id: entityId,
    sso_url: 'https://idp.example.com/sso',
    certificates: [certificate],
  })
  const world = opened.use(
    await createWorld({ config: { sign_in: { providers: [saml('corp'), saml('other')] } } }),
  )
  gateway = opened.use(await openGateway(world))
})

after(() => opened.disposeAsync())

/** A browser on its way, and what an honest provider would say to it. */
interface Begun {
  readonly browser: Browser
  readonly facts: Required<Pick<Facts, 'inResponseTo' | 'recipient' | 'audience'>>
}

async function begin(): Promise<Begun> {
  const browser = new Browser()
  const { headers } = await browser.visit(`${gateway.url}/auth/saml/corp`, { redirects: 0 })
  const request = new URL(headers.get('location')!).searchParams.get('SAMLRequest')!
  const xml = inflateRawSync(Buffer.from(request, 'base64')).toString('utf8')
  const at = `${gateway.url}/auth/saml/corp`
  const inResponseTo = /\sID="([^"]+)"/.exec(xml)![1]!
  return { browser, facts: { inResponseTo, recipient: `${at}/acs`, audience: `${at}/metadata` } }
}

const post = (browser: Browser, xml: string, id = 'corp'): Promise<Page> =>
  browser.visit(`${gateway.url}/auth/saml/${id}/acs`, {
    form: { SAMLResponse: Buffer.from(xml).toString('base64') },
    // Answers come from the provider's site; the cookie of a sign-in on its way comes along all the same.
    site: 'cross-site',
    headers: {},
    redirects: 0,
  })

const signedIn = (page: Page): boolean =>
  page.headers
    .getSetCookie()
    .some(each => each.startsWith('__Host-sallyport=') && !each.includes('Max-Age=0'))

async function refused(name: string, page: Page): Promise<void> {
  assert.equal(page.status, 403, `${name}: ${page.status} ${page.text.slice(0, 300)}`)
  assert.equal(signedIn(page), false, name)
}

const honest = ({ facts }: Begun): string => sign(responseOf(assertionOf(facts), facts))

test('P9: an honest answer signs in, once', async () => {
  const begun = await begin()
  const xml = honest(begun)
  const cookie = `__Host-sallyport-sign-in=${begun.browser.cookie(new URL(gateway.url).host, '__Host-sallyport-sign-in')!.value}`
  const page = await post(begun.browser, xml)
  assert.equal(page.status, 303, page.text)
  assert.ok(signedIn(page))
  await refused('again, in the same browser', await post(begun.browser, xml))
  const replay = await new Browser().visit(`${gateway.url}/auth/saml/corp/acs`, {
    form: { SAMLResponse: Buffer.from(xml).toString('base64') },
    headers: { cookie },
    redirects: 0,
  })
  await refused('with the cookie that was used', replay)
})

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const signedBy = 'http://www.w3.org/2000/09/xmldsig#'

const forgeries: Readonly<Record<string, (begun: Begun) => string>> = {
  unsigned: ({ facts }) => responseOf(assertionOf(facts), facts),
  'signed by another key': ({ facts }) => sign(responseOf(assertionOf(facts), facts), { privateKey: pem }),
  'signed with SHA-1': ({ facts }) =>
    sign(responseOf(assertionOf(facts), facts), { algorithm: `${signedBy}rsa-sha1` }),
  'of an algorithm made weaker afterwards': begun =>
    honest(begun).replace('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', `${signedBy}hmac-sha1`),
  'an HMAC by the certificate, which everybody knows': begun =>
    honest(begun).replace(/xmldsig-more#rsa-sha256/, 'xmldsig-more#hmac-sha256'),
  'the digest made weaker afterwards': begun =>
    honest(begun).replace('http://www.w3.org/2001/04/xmlenc#sha256', `${signedBy}sha1`),
  'for another audience': ({ facts }) =>
    sign(responseOf(assertionOf({ ...facts, audience: 'https://other.example' }), facts)),
  'for another recipient': ({ facts }) =>
    sign(responseOf(assertionOf({ ...facts, recipient: 'https://other.example/acs' }), facts)),
  'to another destination': ({ facts }) =>
    sign(responseOf(assertionOf(facts), { ...facts, recipient: 'https://other.example/acs' })),
  'to another request': ({ facts }) => {
    const other = { ...facts, inResponseTo: '_another' }
    return sign(responseOf(assertionOf(other), other))
  },
  'to another request, inside alone': ({ facts }) =>
    sign(responseOf(assertionOf({ ...facts, inResponseTo: '_another' }), facts)),
  expired: ({ facts }) => sign(responseOf(assertionOf({ ...facts, until: minutes(-10) }), facts)),
  'of another issuer': ({ facts }) =>
    sign(responseOf(assertionOf({ ...facts, issuer: 'https://evil.example' }), facts)),
  'a comment in the name': ({ facts }) =>
    sign(responseOf(assertionOf({ ...facts, nameId: 'admin@example.com<!---->.evil.example' }), facts)),
  'a comment put in afterwards': begun => honest(begun).replace('>cam<', '>c<!-- -->am<'),
  'an external entity': begun =>
    `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>${honest(begun).replace('>cam<', '>&x;<')}`,
  'entities that grow': begun =>
    `<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>${honest(begun).replace('>cam<', '>&b;<')}`,
  'an external document type': begun => `<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">${honest(begun)}`,
  'not XML': () => 'hello',
  nothing: () => '',
}

for (const [name, forge] of Object.entries(forgeries)) {
  test(`P9: over HTTP, an answer ${name} signs nobody in`, async () => {
    const begun = await begin()
    await refused(name, await post(begun.browser, forge(begun)))
    const last = (await gateway.entries()).findLast(each => each.kind === 'identity.refused')
    assert.equal(last?.['reason'], 'sign-in-refused')
  })
}

test('P9: over HTTP, wrapped answers (XSW 1 to 8) sign nobody in', async () => {
  const names = Object.keys(wrappings((await begin()).facts))
  for (const name of names) {
    const { browser, facts } = await begin()
    await refused(name, await post(browser, wrappings(facts)[name]!))
  }
  assert.ok(names.length >= 8)
})

test('P9: an answer that nobody asked for, or another provider’s, signs nobody in', async () => {
  const begun = await begin()
  await refused('started by the identity provider', await post(new Browser(), honest(begun)))
  const other = await begin()
  await refused('to the address of another provider', await post(other.browser, honest(other), 'other'))
  const [victim, attacker] = [await begin(), await begin()]
  await refused('another browser’s answer', await post(victim.browser, honest(attacker)))
})

test('P12: an answer that is too large is not read', async () => {
  const { browser } = await begin()
  assert.equal((await post(browser, 'A'.repeat(400_000))).status, 413)
})
