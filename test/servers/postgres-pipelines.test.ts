/**
 * Pipelines in which some statement is refused, against a model: the server itself, given the same pipeline with a
 * statement that fails there. What completes, what errs and what state each Sync finds must be the same.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { cstring, FrameReader, int16, int32, message } from '../../src/protocols/postgres/codec.ts'
import { query, sync } from '../../src/protocols/postgres/messages.ts'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, type Reach, type Stage } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
let stage: Stage

before(async () => {
  if (bin !== undefined) stage = await openStage(bin)
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

/** A client that sends bytes and takes what comes, without a driver's opinions. */
class Raw {
  readonly #socket: Socket
  readonly #reader = new FrameReader(() => 1_000_000)
  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', chunk => this.#reader.push(chunk as Buffer))
  }

  static async open(reach: Reach): Promise<Raw> {
    const socket = connect({ port: reach.port, host: '127.0.0.1', noDelay: true })
    const raw = new Raw(socket)
    const pairs = ['user', reach.user, 'database', reach.database].map(cstring)
    const body = Buffer.concat([int32(196608), ...pairs, Buffer.of(0)])
    socket.write(Buffer.concat([int32(body.length + 4), body]))
    if (reach.password !== '') socket.write(message('p', cstring(reach.password)))
    await raw.until(1)
    return raw
  }

  /** What came up to the n-th ReadyForQuery: completions, errors and states. */
  async until(ready: number): Promise<string[]> {
    const seen: string[] = []
    while (ready > 0) {
      const each = this.#reader.take()
      if (each === undefined) {
        if (this.#socket.destroyed) throw new Error(`closed after ${seen.join(' ')}`)
        await once(this.#socket, 'data')
        continue
      }
      if (each.type === 'C' || each.type === 'Z')
        seen.push(each.type + each.bytes.toString('latin1', 5).replace('\0', ''))
      else if (each.type === 'E') seen.push('E')
      if (each.type === 'Z') ready--
    }
    return seen
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  close(): void {
    this.#socket.destroy()
  }
}

const steps = [
  'insert',
  'refused',
  'sync',
  'begin',
  'commit',
  'rollback',
  'savepoint',
  'back',
  'named',
  'flush',
  'simple',
  'simple refused',
] as const
type Step = (typeof steps)[number]

/** The refused statement is denied by a rule through the gateway; directly it fails by itself. */
function bytesOf(step: Step, refused: string): Buffer {
  const run = (text: string, name = ''): Buffer =>
    Buffer.concat([
      message('P', cstring(name), cstring(text), int16(0)),
      message('B', cstring(''), cstring(name), int16(0), int16(0), int16(0)),
      message('D', Buffer.from('P\0')),
      message('E', cstring(''), int32(0)),
      ...(name === '' ? [] : [message('C', Buffer.from(`S${name}\0`))]),
    ])
  switch (step) {
    case 'sync':
      return sync
    case 'flush':
      return message('H')
    case 'insert':
      return run('insert into kept values (1)')
    case 'named':
      return run('insert into kept values (2)', 'named')
    case 'refused':
      return run(refused)
    case 'simple':
      return Buffer.concat([sync, query('insert into kept values (3); select count(*) from kept')])
    case 'simple refused':
      return Buffer.concat([sync, query(`${refused}; insert into kept values (4)`)])
    case 'savepoint':
      return run('savepoint s')
    case 'back':
      return run('rollback to s')
    case 'begin':
    case 'commit':
    case 'rollback':
      return run(step)
  }
}

test('P11: refusals in pipelines leave everything as an error of the server would', { skip }, async () => {
  const [gateway, direct] = [
    await Raw.open(stage.to('plain')),
    await Raw.open({ ...stage.direct, user: 'postgres', password: '' }),
  ]
  for (const each of [gateway, direct]) {
    each.send(query('create temp table kept(a int)'))
    await each.until(1)
  }
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...steps), { maxLength: 12 }), async given => {
      const all: Step[] = [...given, 'sync', 'rollback', 'sync']
      const ready = all.reduce(
        (sum, step) => sum + (step === 'sync' ? 1 : step.startsWith('simple') ? 2 : 0),
        0,
      )
      gateway.send(Buffer.concat(all.map(step => bytesOf(step, 'drop table customers'))))
      direct.send(Buffer.concat(all.map(step => bytesOf(step, 'drop table no_such_table'))))
      assert.deepEqual(await gateway.until(ready), await direct.until(ready), all.join(' '))
      for (const each of [gateway, direct]) each.send(query('select count(*), sum(a) from kept'))
      assert.deepEqual(await gateway.until(1), await direct.until(1))
    }),
    { numRuns: 60 },
  )
  gateway.close()
  direct.close()
})

const parse = (name: string, text: string): Buffer => message('P', cstring(name), cstring(text), int16(0))
const bind = (portal: string, name: string): Buffer =>
  message('B', cstring(portal), cstring(name), int16(0), int16(0), int16(0))
const execute = (portal: string): Buffer => message('E', cstring(portal), int32(0))

test('P6: a name that the server refused to give again still means what it meant', { skip }, async () => {
  const raw = await Raw.open(stage.to('plain'))
  const said = async (ready: number, ...bytes: readonly Buffer[]): Promise<string[]> => {
    raw.send(Buffer.concat(bytes))
    return await raw.until(ready)
  }
  // A portal of a denied statement, never executed; then another of the same name, which the server refuses.
  await said(
    3,
    query('begin'),
    parse('denied', 'select * from payroll'),
    bind('p', 'denied'),
    sync,
    query('savepoint s'),
  )
  assert.deepEqual(await said(1, parse('harmless', 'select 1'), bind('p', 'harmless'), sync), ['E', 'ZE'])
  await said(1, query('rollback to s'))
  assert.deepEqual(await said(1, execute('p'), sync), ['E', 'ZE'], 'the portal runs what it was bound to')
  await said(1, query('rollback'))
  // A cursor that a rollback closed, and then a portal of its name: FETCH reads the portal.
  await said(1, query('begin; declare c cursor for select 1; rollback'))
  await said(2, query('begin'), parse('', 'select * from payroll'), bind('c', ''), sync)
  assert.deepEqual(await said(1, query('fetch all from c')), ['E', 'ZE'])
  await said(1, query('rollback'))
  // The same with prepared statements, by SQL and by message.
  assert.deepEqual(await said(1, parse('denied', 'select 2'), sync), ['E', 'ZI'])
  assert.deepEqual(await said(1, bind('', 'denied'), execute(''), sync), ['E', 'ZI'])
  for (const text of [
    'execute denied',
    'explain analyze execute denied',
    'create temp table a as execute denied',
    'explain analyze create temp table b as execute denied',
    'prepare denied as select 3; execute denied',
  ])
    assert.deepEqual(await said(1, query(text)), ['E', 'ZI'], text)
  assert.deepEqual(await said(1, query('deallocate denied; prepare denied as select 3; execute denied')), [
    'CDEALLOCATE',
    'CPREPARE',
    'CSELECT 1',
    'ZI',
  ])
  raw.close()
})

test('P1: of a string that broke off, each statement ends in the log as the server ended it', {
  skip,
}, async () => {
  const client = await Raw.open(stage.to('masked'))
  const binary = 'copy customers to stdout (format binary)'
  const change = 'update customers set notes = null where id = 5'
  const isEnd = ({ kind }: { kind: string }) => kind === 'action.completed' || kind === 'action.failed'
  const earlier = (await stage.ended(0, isEnd)).length
  const ends = async (count: number) => {
    const entries = await stage.ended(earlier + count, isEnd)
    return entries.slice(earlier).map(({ kind, operation, ...each }) => ({
      what: `${kind} ${String(operation)}`,
      db: (each as unknown as { db: Record<string, unknown> }).db,
    }))
  }
  client.send(query(`${binary}; ${change}`))
  assert.deepEqual(await client.until(1), ['E', 'ZI'])
  const [copied, changed] = await ends(2)
  assert.equal(copied!.what, 'action.failed COPY TO')
  assert.equal(changed!.what, 'action.completed UPDATE')
  const done = (await stage.cluster.sql('select notes is null from customers where id = 5', 'orders')) === 't'
  // The server is asked to stop, and may have come to the end all the same.
  if (done)
    assert.deepEqual(
      [copied!.db['tag'], changed!.db['tag'], changed!.db['withheld']],
      ['COPY 5', 'UPDATE 1', true],
    )
  else assert.notEqual(changed!.db['tag'], 'UPDATE 1')

  // Long enough that the server sends it before it goes on.
  const long = "copy (select email, repeat('x', 100000) from customers) to stdout (format binary)"
  client.send(query(`${long}; select pg_sleep(600); ${change}`))
  assert.deepEqual(await client.until(1), ['E', 'ZI'])
  const [, , again, slept, never] = await ends(5)
  assert.equal(again!.what, 'action.failed COPY TO')
  assert.deepEqual([slept!.what, slept!.db['sqlstate']], ['action.completed SELECT', '57014'])
  assert.deepEqual([never!.what, never!.db['not_run']], ['action.completed UPDATE', true])

  client.send(query('select 1'))
  assert.deepEqual(await client.until(1), ['CSELECT 1', 'ZI'])
  client.close()
})
