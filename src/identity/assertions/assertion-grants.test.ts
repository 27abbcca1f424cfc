import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { JWTPayload } from 'jose'
import fc from 'fast-check'
import {
  type MintOptions,
  type PracticeIdentityProvider,
  startPracticeIdentityProvider,
} from '../../../practice/identity-provider/practice-identity-provider.ts'
import { assertionsSection } from '../../config/assertions.ts'
import { issuerConfig } from '../../config/identity.ts'
import { MemoryState } from '../../storage/memory/memory-state.ts'
import { IssuerKeys } from '../issuer-keys.ts'
import type { RefusalReason } from '../refusals.ts'
import { AssertionGrants, type GrantError, GrantRefused, jwtBearerGrant } from './assertion-grants.ts'
import { SpentAssertions } from './spent-assertions.ts'

const secret = 'a-secret-of-a-good-length-0001'
const gateway = 'https://gateway.example.com'
const tools = `${gateway}/c/tools`
const clock = { time: 0, now: () => (clock.time === 0 ? Date.now() : clock.time) }
const place = {
  issuer: gateway,
  isResource: (address: string) => [tools, `${gateway}/mcp`].includes(address),
}

let company: PracticeIdentityProvider
let other: PracticeIdentityProvider
let keys: IssuerKeys

before(async () => {
  ;[company, other] = await Promise.all([startPracticeIdentityProvider(), startPracticeIdentityProvider()])
  keys = new IssuerKeys({ clock })
})

after(() => Promise.all([company.close(), other.close(), keys.close()]))

const state = new MemoryState()
const key = randomBytes(32)

function grants(change: { readonly without?: string; readonly key?: Buffer } = {}): AssertionGrants {
  const clients = [
    { id: 'desk', secret: '${env:DESK}', issuers: ['company'] },
    { id: 'both', secret: '${env:BOTH}', issuers: ['company', 'other'] },
    { id: 'short', secret: '${env:SHORT}', issuers: ['company'] },
  ].filter(({ id }) => id !== change.without)
  const secrets: Record<string, string> = {
    '${env:DESK}': secret,
    '${env:BOTH}': `${secret}2`,
    '${env:SHORT}': 'x',
  }
  return new AssertionGrants({
    config: assertionsSection.parse({ clients }),
    issuers: [
      issuerConfig({
        name: 'company',
        issuer: company.issuer,
        audience: 'sallyport',
        actor: { clients: ['desk'] },
      }),
      issuerConfig({ name: 'other', issuer: other.issuer, audience: 'sallyport' }),
    ],
    keys,
    clock,
    spent: new SpentAssertions(state, clock),
    key: change.key ?? key,
    secretOf: reference => () => secrets[reference]!,
  })
}

const good: JWTPayload = {
  sub: 'ana',
  email: 'ana@example.com',
  groups: ['sre'],
  aud: gateway,
  client_id: 'desk',
  resource: tools,
  scope: 'read write',
}
const idJag = { typ: 'oauth-id-jag+jwt' }

function assertion(
  change: JWTPayload = {},
  options: MintOptions = {},
  issuer: PracticeIdentityProvider = company,
): Promise<string> {
  return issuer.mint(
    { ...good, ...change },
    { lifetime: 300, ...options, header: { ...idJag, ...options.header } },
  )
}

interface Asked {
  readonly form?: Readonly<Record<string, string>>
  readonly client?: string
  readonly secret?: string
  readonly from?: AssertionGrants
}

function exchange(given: string, of: Asked = {}) {
  const { client = 'desk' } = of
  const form = new URLSearchParams({ grant_type: jwtBearerGrant, assertion: given, ...of.form })
  const basic = `Basic ${Buffer.from(`${client}:${of.secret ?? secret}`).toString('base64')}`
  return (of.from ?? grants()).grant(form, basic, place)
}

async function refused(work: Promise<unknown>, code: GrantError, reason?: RefusalReason): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof GrantRefused, String(error))
    assert.deepEqual([error.code, error.refusal?.reason], [code, reason])
    return true
  })
}

test('P9: an assertion gives the same person with the same groups, at its address alone', async () => {
  const granted = await exchange(await assertion())
  const identified = grants().identify({ token: granted.token, resource: tools })
  assert.ok('subject' in identified)
  const { subject } = identified
  assert.deepEqual(
    [subject.kind, subject.id, subject.groups, subject.onBehalfOf],
    ['agent', 'desk', ['sre'], { issuer: company.issuer, id: 'ana', email: 'ana@example.com' }],
  )
  assert.equal(subject.claims['scope'], 'read write')
  for (const resource of [undefined, gateway, `${gateway}/mcp`, `${tools}/`, `${gateway}/c/other`]) {
    const elsewhere = grants().identify({
      token: granted.token,
      ...(resource === undefined ? {} : { resource }),
    })
    assert.deepEqual('refusal' in elsewhere && elsewhere.refusal.reason, 'audience-mismatch', resource)
  }
})

test('the gateway’s identifier may end with the slash that URL parsers write, and with nothing else', async () => {
  await exchange(await assertion({ aud: `${gateway}/` }))
  for (const aud of [
    `${gateway}//`,
    `${gateway}/c/tools`,
    `${gateway}/?`,
    gateway.toUpperCase(),
    `${gateway}:443`,
  ])
    await refused(exchange(await assertion({ aud })), 'invalid_grant', 'audience-mismatch')
})

const attacks: readonly [string, () => Promise<string>, RefusalReason][] = [
  ['an ID token', () => assertion({}, { header: { typ: 'JWT' } }), 'type-refused'],
  ['an access token', () => assertion({}, { header: { typ: 'at+jwt' } }), 'type-refused'],
  ['no typ at all', () => assertion({}, { header: { typ: undefined } } as never), 'type-refused'],
  ['another audience', () => assertion({ aud: 'https://elsewhere.example.com' }), 'audience-mismatch'],
  ['the audience of tokens', () => assertion({ aud: 'sallyport' }), 'audience-mismatch'],
  [
    'several audiences',
    () => assertion({ aud: [gateway, 'https://elsewhere.example.com'] }),
    'audience-mismatch',
  ],
  ['no audience', () => assertion({ aud: undefined } as never), 'audience-mismatch'],
  ['another client', () => assertion({ client_id: 'both' }), 'party-refused'],
  ['no client', () => assertion({ client_id: undefined } as never), 'party-refused'],
  ['an end that has passed', () => assertion({ exp: Math.floor(Date.now() / 1000) - 3600 }), 'token-expired'],
  ['no end', () => assertion({ exp: undefined } as never), 'expiry-missing'],
  ['an end that is far away', () => assertion({}, { lifetime: 7200 }), 'assertion-unbounded'],
  ['no jti', () => assertion({ jti: undefined } as never), 'assertion-unbounded'],
  [
    'a beginning in the future',
    () => assertion({ iat: Math.floor(Date.now() / 1000) + 3600 }),
    'not-yet-valid',
  ],
  ['a key that it is bound to', () => assertion({ cnf: { jkt: 'x' } } as never), 'proof-required'],
  ['no subject', () => assertion({ sub: undefined } as never), 'subject-invalid'],
  ['another trusted issuer that this client may not bring', () => assertion({}, {}, other), 'issuer-unknown'],
  [
    'the name of the issuer, signed by another',
    () => assertion({ iss: company.issuer }, {}, other),
    'signature-invalid',
  ],
  ['no signature', async () => unsigned(await assertion()), 'algorithm-refused'],
  ['another signature', async () => `${(await assertion()).slice(0, -8)}AAAAAAAA`, 'signature-invalid'],
  ['nonsense', async () => 'a.b.c', 'token-malformed'],
]

function unsigned(token: string): string {
  const [, payload] = token.split('.')
  const header = Buffer.from(JSON.stringify({ ...idJag, alg: 'none' })).toString('base64url')
  return `${header}.${payload}.`
}

for (const [what, make, reason] of attacks)
  test(`attack: no token for an assertion: ${what}`, async () => {
    await refused(exchange(await make()), 'invalid_grant', reason)
  })

test('attack: an assertion counts once, whoever of two is first, and also after a restart', async () => {
  const once = await assertion()
  const tries = await Promise.allSettled([exchange(once), exchange(once), exchange(once)])
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
  await refused(exchange(once, { from: grants() }), 'invalid_grant', 'assertion-used')
})

test('attack: the assertion of one client is of no use to another', async () => {
  const stolen = await assertion()
  const thief = { client: 'both', secret: `${secret}2` }
  await refused(exchange(stolen, thief), 'invalid_grant', 'party-refused')
  await exchange(stolen)
})

test('attack: a client without its secret gets nothing, and does not use up the assertion', async () => {
  const given = await assertion()
  for (const asked of [
    { secret: 'wrong' },
    { secret: '' },
    { client: 'nobody' },
    { client: 'short', secret: 'x' },
  ])
    await refused(exchange(given, asked), 'invalid_client', 'client-refused')
  await refused(exchange(given, { form: { client_secret: secret } }), 'invalid_client', 'client-refused')
  await exchange(given)
})

test('attack: an address that is not here, or that the assertion does not name, gives no token', async () => {
  for (const resource of [
    undefined,
    '',
    'https://elsewhere.example.com/c/tools',
    `${gateway}/c/none`,
    7,
    [],
    [tools, 7],
  ])
    await refused(exchange(await assertion({ resource })), 'invalid_target', 'resource-refused')
  const form = { resource: `${gateway}/mcp` }
  await refused(exchange(await assertion(), { form }), 'invalid_target', 'resource-refused')
  const both = await exchange(await assertion({ resource: [tools, `${gateway}/mcp`] }), { form })
  assert.deepEqual(both.resources, [`${gateway}/mcp`])
})

test('scopes are those of the assertion, or fewer', async () => {
  assert.equal((await exchange(await assertion(), { form: { scope: 'read' } })).scope, 'read')
  await refused(exchange(await assertion(), { form: { scope: 'read admin' } }), 'invalid_scope')
  assert.equal((await exchange(await assertion({ scope: undefined }))).scope, undefined)
})

test('attack: what was sealed is opened by its key alone, and a changed token is none', async () => {
  const { token } = await exchange(await assertion())
  const other_ = grants({ key: randomBytes(32) }).identify({ token, resource: tools })
  assert.ok('refusal' in other_ && other_.refusal.reason === 'token-unknown')
  const changed = fc.tuple(fc.nat({ max: token.length - 5 }), fc.constantFrom('A', '_', '=', ' ', 'é'))
  fc.assert(
    fc.property(changed, ([at, by]) => {
      const forged = token.slice(0, at + 4) + by + token.slice(at + 5)
      if (forged === token) return
      const found = grants().identify({ token: forged, resource: tools })
      assert.ok('refusal' in found && found.refusal.reason === 'token-unknown')
    }),
  )
})

test('a token ends by its time, and with its client', async () => {
  const { token, expiresAt } = await exchange(await assertion())
  const gone = grants({ without: 'desk' }).identify({ token, resource: tools })
  assert.ok('refusal' in gone && gone.refusal.reason === 'client-refused')
  clock.time = expiresAt
  const ended = grants().identify({ token, resource: tools })
  clock.time = 0
  assert.ok('refusal' in ended && ended.refusal.reason === 'token-expired')
})

test('P12: what was used is forgotten when it has ended', async () => {
  const spent = new SpentAssertions(state, clock)
  clock.time = Date.now() + 10 * 3_600_000
  const of = { issuer: 'x', id: 'y', until: clock.time + 1000 }
  assert.equal(await spent.spend(of), true)
  assert.equal((await state.list('spent-assertion')).length, 1)
  clock.time = 0
})
