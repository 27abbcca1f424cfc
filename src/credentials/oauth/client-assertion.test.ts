/** `private_key_jwt` (RFC 7523 section 2.2) at an authorization server that checks every claim. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { inspect } from 'node:util'
import { type JWTPayload, jwtVerify } from 'jose'
import type { Audit } from '../../audit/audit.ts'
import { oauthSection } from '../../config/oauth.ts'
import type { Connection } from '../../model/connection.ts'
import type { Subject } from '../../model/subject.ts'
import { openMemoryStorage } from '../../storage/memory/index.ts'
import { createCredentials } from '../credentials.ts'
import { UpstreamGrants } from './upstream-grants.ts'

let base: string
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'sallyport-assertion-'))
})
after(() => rm(base, { recursive: true }))

interface Took {
  readonly grant: string
  readonly header: unknown
  readonly claims: JWTPayload
}

/** Gives tokens to the client `gateway` that signs with this key. What it says of a refusal is for the tests. */
async function strictServer(publicKey: KeyObject, audienceOf: (issuer: string) => string) {
  const took: Took[] = []
  const refusals: string[] = []
  const shown = new Set<string>()
  let issuer = ''
  const check = async (form: URLSearchParams, authorization: string | undefined): Promise<void> => {
    assert.equal(authorization, undefined)
    assert.equal(form.get('client_secret'), null)
    assert.equal(form.get('client_assertion_type'), 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    const { payload, protectedHeader } = await jwtVerify(form.get('client_assertion') ?? '', publicKey, {
      issuer: 'gateway',
      subject: 'gateway',
      audience: audienceOf(issuer),
      requiredClaims: ['jti', 'iat', 'exp'],
      maxTokenAge: '60s',
    })
    assert.equal(form.get('client_id'), 'gateway')
    assert.ok(payload.exp! - payload.iat! <= 300)
    assert.ok(!shown.has(payload.jti!), 'an assertion counts once')
    shown.add(payload.jti!)
    took.push({ grant: form.get('grant_type')!, header: protectedHeader, claims: payload })
  }
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      response.setHeader('content-type', 'application/json')
      check(new URLSearchParams(Buffer.concat(parts).toString()), request.headers.authorization).then(
        () =>
          response.end(
            JSON.stringify({
              access_token: `issued-for-signature-${took.length}`,
              refresh_token: `refresh-${took.length}`,
              token_type: 'Bearer',
              expires_in: 600,
            }),
          ),
        (error: Error) => {
          refusals.push(error.message)
          response.statusCode = 401
          response.end('{"error":"invalid_client"}')
        },
      )
    })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    issuer,
    took,
    refusals,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}

async function keyFile(name: string, key: KeyObject): Promise<string> {
  await writeFile(join(base, name), key.export({ type: 'pkcs8', format: 'pem' }))
  return `file:${name}`
}

function connection(issuer: string, more: object): Connection {
  const oauth = oauthSection.parse({
    grant: 'client_credentials',
    issuer,
    token_endpoint: `${issuer}/token`,
    client_id: 'gateway',
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

const pairs = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  EdDSA: generateKeyPairSync('ed25519'),
}

for (const [alg, { privateKey, publicKey }] of Object.entries(pairs)) {
  test(`the gateway proves itself with an assertion that it signs with ${alg}`, async () => {
    await using server = await strictServer(publicKey, issuer => issuer)
    const private_key = await keyFile(`${alg}.pem`, privateKey)
    const target = connection(server.issuer, { private_key, key_id: 'k1' })
    const { secrets } = await createCredentials({ base }).lease({ target })
    assert.equal(secrets['token'], 'issued-for-signature-1', server.refusals.join())
    assert.deepEqual(server.took[0]!.header, { alg, kid: 'k1' })
  })
}

const { privateKey, publicKey } = pairs.ES256

test('a server that wants to be named by its token endpoint is', async () => {
  await using server = await strictServer(publicKey, issuer => `${issuer}/token`)
  const private_key = await keyFile('audience.pem', privateKey)
  const lease = (more: object) =>
    createCredentials({ base }).lease({ target: connection(server.issuer, { private_key, ...more }) })
  await assert.rejects(lease({}), { code: 'credential-unavailable' })
  assert.match(server.refusals.join(), /"aud"/)
  const { secrets } = await lease({ assertion_audience: 'token_endpoint' })
  assert.equal(secrets['token'], 'issued-for-signature-1')
})

test('each request has an assertion of its own: for the code of a person’s consent, and for each refresh', async () => {
  await using server = await strictServer(publicKey, issuer => issuer)
  const target = connection(server.issuer, {
    grant: 'authorization_code',
    authorization_endpoint: `${server.issuer}/authorize`,
    private_key: await keyFile('person.pem', privateKey),
  })
  const ana: Subject = {
    issuer: 'https://idp.example.com',
    id: 'ana',
    kind: 'user',
    groups: [],
    method: 'oidc',
    claims: {},
  }
  const clock = { at: Date.now(), now: () => clock.at }
  const grants = new UpstreamGrants({
    state: openMemoryStorage().state,
    audit: { note: () => Promise.resolve({ id: 'e', index: 0 }) } as unknown as Audit,
    clock,
    key: Buffer.alloc(32, 1),
    base,
    publicUrl: () => 'http://127.0.0.1:1',
    connections: () => [target],
  })
  const { url } = await grants.begin(ana, 'notes')
  assert.ok(!url.includes('assertion'), 'the browser carries none')
  await grants.answered(`?code=c1&state=${new URL(url).searchParams.get('state')}`, ana)
  const vault = createCredentials({ base, grants, clock })
  assert.equal((await vault.lease({ target, subject: ana })).secrets['token'], 'issued-for-signature-1')
  clock.at += 601_000
  assert.equal((await vault.lease({ target, subject: ana })).secrets['token'], 'issued-for-signature-2')
  assert.deepEqual(
    server.took.map(({ grant }) => grant),
    ['authorization_code', 'refresh_token'],
  )
})

test('P4: with a key that the server does not know nothing is lent, and the error shows neither key nor assertion', async () => {
  await using server = await strictServer(publicKey, issuer => issuer)
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const private_key = await keyFile('other.pem', other.privateKey)
  const refused = await createCredentials({ base })
    .lease({ target: connection(server.issuer, { private_key }) })
    .then(
      () => assert.fail('a wrong key was taken'),
      (error: Error) => error,
    )
  assert.match(inspect(refused), /invalid_client/)
  assert.doesNotMatch(inspect(refused, { depth: 10 }), /PRIVATE KEY|eyJ/)
  await writeFile(join(base, 'broken.pem'), 'no key at all\n')
  await assert.rejects(
    createCredentials({ base }).lease({
      target: connection(server.issuer, { private_key: 'file:broken.pem' }),
    }),
    { code: 'credential-unavailable' },
  )
})
