/** Beginnings and ends: logins of every kind, cancels, holds, and either end dying amid an answer. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import postgres from 'postgres'
import { login } from '../../src/protocols/postgres/login.ts'
import { terminate } from '../../src/protocols/postgres/messages.ts'
import { postgresSettings } from '../../src/protocols/postgres/settings.ts'
import { testCertificate } from '../../src/protocols/test-certificate.ts'
import { approver } from '../support/approver.ts'
import { until } from '../support/until.ts'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, psql, type Reach, type Stage } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
let stage: Stage

before(async () => {
  if (bin !== undefined) stage = await openStage(bin)
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

async function client(reach: Reach): Promise<pg.Client & AsyncDisposable> {
  const made = new pg.Client({ ...reach, ssl: false })
  made.on('error', () => undefined)
  await made.connect()
  return Object.assign(made, { [Symbol.asyncDispose]: () => made.end() })
}

const code = (error: unknown): string => String((error as { code?: string }).code)
const left = (): Promise<string> =>
  stage.cluster.sql("select count(*) from pg_stat_activity where usename = 'app'")

test('P4: the gateway logs in by every method, and to nobody who can not prove the password', {
  skip,
}, async () => {
  await stage.cluster.sql(
    `set password_encryption = 'md5'; create role md5_user login password 'one';
     set password_encryption = 'scram-sha-256'; create role clear_user login password 'two'; create role scram_user login password 'three'`,
  )
  const settings = (user: string, mode: 'verify-full' | 'require' | 'disable') =>
    postgresSettings.parse({
      host: '127.0.0.1',
      port: stage.cluster.port,
      database: 'orders',
      user,
      tls: { mode, ca: testCertificate.cert },
    })
  for (const [user, password, mode] of [
    ['md5_user', 'one', 'disable'],
    ['clear_user', 'two', 'require'],
    ['scram_user', 'three', 'disable'],
    ['scram_user', 'three', 'verify-full'],
  ] as const) {
    const { wire, parameters } = await login(settings(user, mode), { password }, [])
    assert.equal(parameters.get('client_encoding'), 'UTF8', `${user} ${mode}`)
    wire.send(terminate)
    wire.end()
  }
  await assert.rejects(login(settings('scram_user', 'require'), { password: 'wrong' }, []), {
    code: 'upstream-unreachable',
  })
  await assert.rejects(login(settings('scram_user', 'require'), {}, []), { code: 'credential-unavailable' })
})

test('P9: only a token gets in, and a refusal is in the log', { skip }, async () => {
  for (const password of ['wrong', `${stage.token}x`])
    await assert.rejects(client({ ...stage.to('orders'), password }), error => code(error) === '28P01')
  await stage.ended(2, each => each.kind === 'identity.refused')
  await assert.rejects(client({ ...stage.to('orders'), database: 'other' }), error => code(error) === '3D000')
})

test('P11: GSSENCRequest and SSLRequest are answered, and nonsense ends the connection alone', {
  skip,
}, async () => {
  const { port } = stage.to('orders')
  const ask = async (bytes: Buffer): Promise<string> => {
    const socket: Socket = connect({ port, host: '127.0.0.1' })
    socket.write(bytes)
    const answer = await Promise.race([
      once(socket, 'data').then(([data]) => String(data)),
      once(socket, 'close').then(() => ''),
    ])
    socket.destroy()
    return answer
  }
  const request = (number: number): Buffer =>
    Buffer.from([0, 0, 0, 8, ...[24, 16, 8, 0].map(shift => (number >> shift) & 0xff)])
  assert.equal(await ask(request(80877104)), 'N')
  assert.equal(await ask(request(80877103)), 'N')
  assert.equal(await ask(Buffer.from('GET / HTTP/1.1\r\n\r\n')), '')
  assert.equal(
    await ask(Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 1])),
    '',
    'a cancel of nobody',
  )
  assert.match((await psql(stage, stage.to('orders'), 'select 41 + 1;')).stdout, /42/)
})

test('P11: postgres.js works: pipelines, transactions, cursors, notifications', { skip }, async () => {
  const sql = postgres({ ...stage.to('orders'), username: 'x', max: 2, onnotice: () => undefined })
  try {
    assert.deepEqual(
      [...(await sql`select email from customers where id = ${1}`)],
      [{ email: 'user1@example.com' }],
    )
    const many = await Promise.all(Array.from({ length: 20 }, (_, i) => sql`select ${i}::int as i`))
    assert.deepEqual(
      many.map(([row]) => row!['i']),
      Array.from({ length: 20 }, (_, i) => i),
    )
    const sizes: number[] = []
    await sql`select * from generate_series(1, 25) g`.cursor(10, rows => void sizes.push(rows.length))
    assert.deepEqual(sizes, [10, 10, 5])
    const heard = Promise.withResolvers<string>()
    await sql.listen('news', heard.resolve)
    await sql.notify('news', 'payload')
    assert.equal(await heard.promise, 'payload')
    await assert.rejects(sql`drop table customers`, error => code(error) === '42501')
    await assert.rejects(
      sql.begin(async tx => {
        await tx`insert into customers(id) values (70)`
        await tx`drop table customers`
      }),
    )
    assert.equal((await sql`select count(*)::int as n from customers where id = 70`)[0]!['n'], 0)
  } finally {
    await sql.end()
  }
})

test('P11: a cancel request ends what runs, and the session goes on', { skip }, async () => {
  await using db = await client(stage.to('orders'))
  const slow = db.query('select pg_sleep(60)')
  const cancelling = new pg.Client({ ...stage.to('orders'), ssl: false }) as pg.Client & {
    cancel(client: pg.Client, query: unknown): void
  }
  const failed = assert.rejects(slow, error => code(error) === '57014')
  await until(
    'it runs',
    async () =>
      (await stage.cluster.sql(
        "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and usename = 'app'",
      )) === '1',
  )
  const { processID, secretKey } = db as unknown as { processID: number; secretKey: number }
  assert.ok(cancelling)
  const socket = connect({ port: stage.to('orders').port, host: '127.0.0.1' })
  const request = Buffer.alloc(16)
  for (const [at, value] of [16, 80877102, processID, secretKey].entries())
    request.writeInt32BE(value, at * 4)
  socket.end(request)
  await failed
  assert.equal((await db.query('select 1 as a')).rows[0].a, 1)
})

test('P5: a statement is held with a notice, runs once when approved, and is bound to its values', {
  skip,
}, async () => {
  await stage.cluster.sql('create table t(a int); insert into t values (1)', 'orders')
  await using db = await client(stage.to('orders'))
  const noticed = once(db, 'notice')
  const truncated = db.query('truncate t')
  const [notice] = (await noticed) as [{ message: string }]
  const id = /held for approval (\S+)/.exec(notice.message)![1]!
  const person = approver(stage.gateway.url, await stage.world.token('cam'))
  const [asked] = await person.pending()
  assert.equal(asked!.id, id)
  assert.equal((asked!.request as { readonly statement?: string }).statement, 'truncate t')
  assert.equal((await person.vote(id, 'approve')).status, 200)
  assert.equal((await truncated).command, 'TRUNCATE')
  assert.equal(await stage.cluster.sql('select count(*) from t', 'orders'), '0')

  await db.query('begin')
  await assert.rejects(
    db.query('truncate only t'),
    error => code(error) === 'SP001',
    'nothing is held in a transaction',
  )
  await db.query('rollback')
  const held = db.query('truncate t, customers')
  await once(db, 'notice')
  const { processID, secretKey } = db as unknown as { processID: number; secretKey: number }
  const request = Buffer.alloc(16)
  for (const [at, value] of [16, 80877102, processID, secretKey].entries())
    request.writeInt32BE(value, at * 4)
  connect({ port: stage.to('orders').port, host: '127.0.0.1' }).end(request)
  await assert.rejects(held, error => code(error) === '57014')
  assert.equal((await db.query('select 1 as a')).rows[0].a, 1)
})

test('P2: a client that dies amid COPY or a result leaves no session, and its action has an end', {
  skip,
}, async () => {
  const db = await client(stage.to('orders'))
  const stream = db.query(copyFrom('copy t from stdin'))
  stream.on('error', () => undefined)
  stream.write('1\n2\n')
  await until(
    'it copies',
    async () =>
      (await stage.cluster.sql(
        "select count(*) from pg_stat_activity where query like 'copy t%' and usename = 'app'",
      )) === '1',
  )
  const { connection } = db as unknown as { connection: { stream: Socket } }
  connection.stream.destroy()
  const reading = await client(stage.to('orders'))
  const result = reading.query("select repeat('x', 1000) from generate_series(1, 10000000)")
  const over = assert.rejects(result)
  await until('it reads', async () => Number(await left()) > 0)
  ;(reading as unknown as { connection: { stream: Socket } }).connection.stream.destroy()
  await over
  await until('nobody is left', async () => (await left()) === '0')
  await stage.ended(2, each => each.kind === 'action.failed' && each.error?.code === 'client-gone')
  assert.equal(await stage.cluster.sql('select count(*) from t', 'orders'), '0')
})

test('P2, P6: a server that dies amid a result is told as an error, and the action failed', {
  skip,
}, async () => {
  const db = await client(stage.to('orders'))
  const failed = assert.rejects(db.query('select pg_sleep(60), 7'), error =>
    /^(?:57P01|08001)$/.test(code(error)),
  )
  await until(
    'it runs',
    async () =>
      (await stage.cluster.sql(
        "select count(*) from pg_stat_activity where query like '%pg_sleep(60), 7%' and state = 'active' and usename = 'app'",
      )) === '1',
  )
  await stage.cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
  await failed
  await db.end().catch(() => undefined)
  assert.match((await psql(stage, stage.to('orders'), 'select 41 + 1;')).stdout, /42/)
})

test('P12: rows that nobody reads are not read from the server either', { skip }, async () => {
  const { port, password } = stage.to('orders')
  const socket = connect({ port, host: '127.0.0.1' })
  const cstring = (text: string): Buffer => Buffer.from(`${text}\0`)
  const framed = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(type === '' ? 4 : 5)
    head.write(type, 'latin1')
    head.writeInt32BE(body.length + 4, type === '' ? 0 : 1)
    return Buffer.concat([head, body])
  }
  socket.write(
    framed(
      '',
      Buffer.concat([
        Buffer.from([0, 3, 0, 0]),
        cstring('user'),
        cstring('x'),
        cstring('database'),
        cstring('orders'),
        Buffer.of(0),
      ]),
    ),
  )
  socket.write(framed('p', cstring(password)))
  await once(socket, 'data')
  const before = process.memoryUsage().rss
  socket.pause()
  socket.write(framed('Q', cstring("select repeat('x', 10000) from generate_series(1, 100000)")))
  await until(
    'the server waits',
    async () =>
      (await stage.cluster.sql(
        "select count(*) from pg_stat_activity where wait_event = 'ClientWrite' and usename = 'app'",
      )) === '1',
  )
  assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024)
  socket.destroy()
  await until('nobody is left', async () => (await left()) === '0')
})

test('P4: a connection that wants TLS is spoken to in TLS alone, and looks the same inside', {
  skip,
}, async () => {
  const reach = stage.to('tls')
  const inside = await psql(stage, { ...reach, sslmode: 'require' }, 'select 41 + 1;')
  assert.deepEqual([inside.stdout, inside.stderr], ['42\n', ''])
  const outside = await psql(stage, { ...reach, sslmode: 'disable' }, 'select 41 + 1;')
  assert.match(outside.stderr, /taken over TLS only/)
  // Direct TLS (`sslnegotiation=direct`): at once, and only for this protocol.
  const direct = async (protocols: string[]): Promise<string | false | null> => {
    const socket = connectTls({
      port: reach.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: protocols,
    })
    await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]).catch(() => undefined)
    const { alpnProtocol } = socket
    socket.destroy()
    return alpnProtocol
  }
  assert.equal(await direct(['postgresql']), 'postgresql')
  assert.notEqual(await direct(['http/1.1']), 'http/1.1')
})

test('P2: a session that is ended ends what its client has', {
  skip,
}, async () => {
  const db = await client(stage.to('orders'))
  await db.query('select 1')
  const { sessions } = stage.gateway.running.services
  const [session] = sessions.list().filter(each => each.target.name === 'orders')
  const gone = new Promise<void>(resolve => db.on('end', () => resolve()))
  await sessions.close(session!, 'killed')
  await gone
  await until('nobody is left', async () => (await left()) === '0')
})
