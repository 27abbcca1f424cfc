/** Clients known by a certificate, with psql and curl; and every certificate that must not be accepted. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import { writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { testCertificate } from '../../src/protocols/test-certificate.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { type Issued, TestAuthority } from '../support/test-authority.ts'
import { until } from '../support/until.ts'
import { type ConfigInput, createWorld, type World } from '../support/world.ts'
import { type Cluster, missing, postgresPrograms, startCluster } from './postgres-cluster.ts'

const run = promisify(execFile)
const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
const agent = 'spiffe://example.com/agents/triage'

let cluster: Cluster
let world: World
let gateway: TestGateway
let authority: TestAuthority
let other: TestAuthority
let upstream: Server
/** Of a good client. */
let good: Issued
let server: string
const cleanup = new AsyncDisposableStack()
const ports = { database: 0, api: 0, strict: 0 }

before(async () => {
  if (bin === undefined) return
  cluster = cleanup.use(await startCluster(bin))
  await cluster.sql("create role app login password 'upstream-secret-4711'")
  await cluster.sql('create database orders owner app')
  authority = await TestAuthority.create()
  other = await TestAuthority.create()
  good = await authority.issue({ names: `URI:${agent}` })
  upstream = createServer((_request, response) => response.end('{"ok":true}')).listen(0, '127.0.0.1')
  cleanup.defer(() => void upstream.close())
  world = await createWorld()
  cleanup.defer(() => world.close())
  server = join(world.directory, 'tls.crt')
  await writeFile(server, testCertificate.cert)
  await writeFile(join(world.directory, 'tls.key'), testCertificate.key, { mode: 0o600 })
  const tls = (require: boolean) => ({
    certificate: server,
    key: join(world.directory, 'tls.key'),
    clients: { issuer: 'workloads', require },
  })
  await world.configure({
    listen: [
      { address: '127.0.0.1:0' },
      { address: '127.0.0.1:0', connection: 'orders', tls: tls(false) },
      { address: '127.0.0.1:0', connection: 'api', tls: tls(false) },
      { address: '127.0.0.1:0', connection: 'orders', tls: tls(true) },
    ],
    identity: {
      ...world.config.identity,
      certificates: [
        {
          name: 'workloads',
          ca: authority.ca,
          crl: authority.crl,
          id: 'uri',
          kind: 'agent',
          groups: ['agents'],
        },
      ],
    },
    connections: [
      {
        name: 'orders',
        protocol: 'postgres',
        host: '127.0.0.1',
        port: cluster.port,
        database: 'orders',
        user: 'app',
        tls: { mode: 'require' },
        credential: { password: await world.secret('postgres', 'upstream-secret-4711') },
      },
      { name: 'api', protocol: 'http', url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` },
    ],
    policy: {
      rules: [
        { name: 'agents', effect: 'allow', subjects: { groups: ['agents'] }, risks: ['read'] },
        {
          name: 'named',
          effect: 'allow',
          subjects: { groups: ['agents'] },
          operations: ['GET /things'],
        },
      ],
    },
  } as Partial<ConfigInput>)
  gateway = await openGateway(world)
  cleanup.defer(() => gateway.close())
  const [, database, api, strict] = gateway.running.urls.map(url => Number(url.split(':').at(-1)))
  Object.assign(ports, { database, api, strict })
})
after(() => cleanup.disposeAsync())

async function psql(
  port: number,
  shown: Issued | undefined,
  more: { readonly direct?: boolean; readonly password?: string } = {},
): Promise<{ code: number; out: string }> {
  const certificate = shown === undefined ? '' : `sslcert=${shown.cert} sslkey=${shown.key}`
  const line = `host=127.0.0.1 port=${port} user=me dbname=orders sslmode=verify-ca sslrootcert=${server} ${certificate}`
  const env = {
    ...process.env,
    PGPASSWORD: more.password ?? '',
    PGCONNECT_TIMEOUT: '20',
    HOME: world.directory,
  }
  const args = ['-w', '-XAt', line, '-c', "select 'in'"]
  return await run(join(bin!, 'psql'), args, { env }).then(
    ({ stdout }) => ({ code: 0, out: stdout }),
    (error: Error & { stderr: string }) => ({ code: 1, out: error.stderr }),
  )
}

async function curl(shown: Issued | undefined, ...more: readonly string[]): Promise<string> {
  const certificate = shown === undefined ? [] : ['--cert', shown.cert, '--key', shown.key]
  const url = `https://127.0.0.1:${ports.api}/things`
  const args = ['-s', '-w', ' %{http_code}', '--cacert', server, ...certificate, ...more, url]
  return (await run('curl', args)).stdout
}

test('P9: psql and curl are known by their certificate, and entries say by which authority', {
  skip,
}, async () => {
  assert.equal((await psql(ports.database, good)).out, 'in\n')
  assert.equal((await psql(ports.strict, good)).out, 'in\n')
  assert.equal(await curl(good), '{"ok":true} 200')
  assert.equal(await curl(good, '--http1.1'), '{"ok":true} 200')
  const done = await gateway.waitForEntries(4, each => each.kind === 'action.completed')
  for (const { subject } of done) {
    assert.equal(subject?.issuer, 'certificate:workloads')
    assert.equal(subject?.id, agent)
    assert.equal(subject?.kind, 'agent')
    assert.equal(subject?.method, 'certificate')
  }
})

test('P9: without a certificate it is the token, and a listener that requires one takes no token alone', {
  skip,
}, async () => {
  const token = await world.token('triage-agent')
  assert.match(
    (await psql(ports.database, undefined, { password: token })).out,
    /permission denied|no rule|policy/,
  )
  assert.match((await psql(ports.database, undefined)).out, /password/)
  assert.match((await psql(ports.strict, undefined, { password: token })).out, /SSL|closed|alert/)
  assert.match(await curl(undefined), / 401$/)
})

test('P6: no other certificate lets anybody in', { skip }, async () => {
  const refused: [string, Issued, string][] = [
    ['expired', await authority.issue({ names: `URI:${agent}`, expired: true }), 'certificate-expired'],
    ['of another authority', await other.issue({ names: `URI:${agent}` }), 'certificate-untrusted'],
    ['signed by itself', await authority.selfSigned(`URI:${agent}`), 'certificate-untrusted'],
    [
      'of a server',
      await authority.issue({ names: `URI:${agent}`, usage: 'serverAuth' }),
      'certificate-purpose',
    ],
    ['of no purpose', await authority.issue({ names: `URI:${agent}`, usage: '' }), 'certificate-purpose'],
    ['without a name', await authority.issue({ subject: '/CN=triage' }), 'certificate-name'],
    [
      'with two names',
      await authority.issue({ names: `URI:${agent},URI:spiffe://example.com/root` }),
      'certificate-name',
    ],
  ]
  for (const [what, shown, reason] of refused) {
    const before = (await gateway.entries()).length
    const { code, out } = await psql(ports.database, shown)
    assert.equal(code, 1, what)
    assert.match(out, /certificate was not accepted|alert/, what)
    const [entry] = await gateway.waitForEntries(
      1,
      each => Number(each.seq) >= before && each.kind === 'identity.refused',
    )
    assert.equal(entry!['reason'], reason, what)
    // A good token beside it changes nothing.
    assert.match(await curl(shown, '-H', `Authorization: Bearer ${await world.token('ana')}`), / 401$/, what)
  }
  const stranger = await authority.issue({ names: 'URI:spiffe://example.com/agents/other' })
  assert.equal((await psql(ports.database, stranger)).out, 'in\n', 'another subject is another subject')
  const last = (await gateway.entries()).findLast(each => each.kind === 'action.completed')
  assert.equal(last!.subject?.id, 'spiffe://example.com/agents/other')
})

test('P6: who is revoked is out, without a restart', { skip }, async () => {
  const leaving = await authority.issue({ names: 'URI:spiffe://example.com/agents/leaving' })
  assert.equal((await psql(ports.database, leaving)).out, 'in\n')
  await authority.revoke(leaving)
  await until('the list is taken up', async () => (await psql(ports.database, leaving)).code === 1)
  assert.match(await curl(leaving), / 401$/)
  assert.equal((await psql(ports.database, good)).out, 'in\n')
})
