/** `sallyport connect`: a local port and a local socket through which psql needs no password. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { until } from '../support/until.ts'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, program, psql, type Reach, type Stage } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
const command = join(import.meta.dirname, '../../script/sallyport')
let stage: Stage

before(async () => {
  if (bin !== undefined) stage = await openStage(bin)
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

/** Starts the command; resolves with it and the first line that it prints. */
async function start(
  args: readonly string[],
  token: string,
  url = stage.gateway.url,
): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(command, ['--url', url, ...args], {
    env: {
      ...process.env,
      SALLYPORT_TOKEN: token,
      NODE_EXTRA_CA_CERTS: join(stage.world.directory, 'tls.crt'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines = createInterface({ input: child.stdout })
  const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [''])])) as [string]
  return { child, line }
}

async function stop(child: ChildProcess): Promise<number | null> {
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  return ((await ended) as [number | null])[0]
}

test('P11: psql without a password, by a port and by a socket, in the name of who signed in', {
  skip,
}, async () => {
  const { child, line } = await start(['--json', 'connect', 'orders'], stage.token)
  const { address } = JSON.parse(line) as { address: string }
  const [host, port] = address.split(':') as [string, string]
  assert.equal(host, '127.0.0.1')
  const local: Reach = { host, port: Number(port), user: 'whoever', password: '', database: 'orders' }
  const ran = await psql(stage, local, 'select count(*) from customers; drop table customers;')
  assert.equal(ran.stdout, '5\n')
  assert.match(ran.stderr, /Tables stay\./)
  const [denied] = await stage.ended(1, each => each.kind === 'action.denied')
  assert.equal(denied!.subject?.id, 'triage-agent')
  assert.equal(await stop(child), 0)

  const directory = stage.world.directory
  const socket = join(directory, '.s.PGSQL.5432')
  const other = await start(['connect', 'orders', '--socket', socket], stage.token)
  assert.equal((await stat(socket)).mode & 0o777, 0o600)
  const bySocket: Reach = { ...local, host: dirname(socket), port: 5432 }
  assert.equal((await psql(stage, bySocket, 'select 1')).stdout, '1\n')
  assert.equal(await stop(other.child), 0)
  await assert.rejects(stat(socket))
})

test('P11: an error of the server leaves the session of a tunnel usable', { skip }, async () => {
  const { child, line } = await start(['--json', 'connect', 'orders'], stage.token)
  const port = Number((JSON.parse(line) as { address: string }).address.split(':')[1])
  const local: Reach = { host: '127.0.0.1', port, user: 'x', password: '', database: 'orders' }
  const ran = await psql(stage, local, "set statement_timeout = '100ms'; select pg_sleep(30); select 7")
  assert.match(ran.stderr, /57014/)
  assert.match(ran.stdout, /7/)
  await stop(child)
})

test('P11: a connection says the address that its own clients use', { skip }, async () => {
  const response = await fetch(`${stage.gateway.url}/api/v1/connections`, {
    headers: { authorization: `Bearer ${stage.token}` },
  })
  const { connections } = (await response.json()) as { connections: { name: string; url?: string }[] }
  const urls = new Map(connections.map(each => [each.name, each.url]))
  const { port } = stage.to('orders')
  assert.equal(urls.get('orders'), `postgresql://127.0.0.1:${port}/orders`)
  assert.match(urls.get('tls')!, /^postgresql:\/\/127\.0\.0\.1:\d+\/tls\?sslmode=verify-full$/)
  const url = urls.get('orders')!.replace('//', `//me:${encodeURIComponent(stage.token)}@`)
  const ran = await program(stage, 'psql', {
    reach: stage.to('orders'),
    args: ['-XAt', url, '-c', 'select count(*) from customers'],
  })
  assert.equal(ran.stdout, '5\n', ran.stderr)
})

test('P11: a tunnel over TLS carries a session, and the cancel request of another', { skip }, async () => {
  const url = stage.gateway.running.urls.at(-1)!
  assert.match(url, /^https:/)
  const { child, line } = await start(['--json', 'connect', 'tls'], stage.token, url)
  const { address } = JSON.parse(line) as { address: string }
  const [host = '', port] = address.split(':')
  const db = new pg.Client({ host, port: Number(port), user: 'me', database: 'tls', ssl: false })
  await db.connect()
  const { rows } = await db.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
  assert.equal(rows.length, 1, 'a connection that wants TLS takes a tunnel within TLS')
  const slow = assert.rejects(db.query('select pg_sleep(61)'), { code: '57014' })
  await until(
    'it runs',
    async () =>
      (await stage.cluster.sql(
        "select count(*) from pg_stat_activity where query like '%pg_sleep(61)%' and usename = 'app'",
      )) === '1',
  )
  const { processID, secretKey } = db as unknown as { processID: number; secretKey: number }
  const request = Buffer.alloc(16)
  for (const [at, value] of [16, 80877102, processID, secretKey].entries())
    request.writeInt32BE(value, at * 4)
  connect({ port: Number(port), host }).end(request)
  await slow
  assert.equal((await db.query('select 1 as a')).rows[0].a, 1)
  await db.end()
  assert.equal(await stop(child), 0)
})

test('P9: a tunnel without a token, with a bad one, or to what has no wire is refused', {
  skip,
}, async () => {
  const { child, line } = await start(['connect', 'orders'], 'sp_nonsense')
  // The token is checked where it is always checked: by the protocol, for each client.
  const port = Number(line.split(' ')[3]!.split(':')[1])
  const local: Reach = { host: '127.0.0.1', port, user: 'x', password: '', database: 'orders' }
  const ran = await psql(stage, local, 'select 1')
  assert.match(ran.stderr, /the token was not accepted/)
  assert.equal(ran.code, 2)
  await stop(child)
  assert.equal(await ask('orders', {}), 401)
  assert.equal(await ask('datadog-is-not-here', { Authorization: `Bearer ${stage.token}` }), 404)
  const unknown = await start(['connect', 'nowhere'], stage.token)
  assert.equal(unknown.line, '')
})

/** The status with which the gateway answers a request for a tunnel. */
function ask(connection: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(`${stage.gateway.url}/c/${connection}`, {
      headers: { Connection: 'Upgrade', Upgrade: 'sallyport-wire', ...headers },
    })
    asked.on('response', response => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve(response.statusCode)
    })
    asked.on('error', reject)
    asked.end()
  })
}
