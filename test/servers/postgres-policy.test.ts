/** What policy, masks and people decide, seen by clients of a real PostgreSQL. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
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

/** Each would read or change what rules deny, or turn off what holds a session; none may. */
const bypasses: readonly string[] = [
  'drop table customers',
  'DrOp /* x */ TaBlE customers',
  'drop/**/table/*/* nested */*/customers',
  '-- select\ndrop table customers',
  'select 1; drop table customers',
  "select ';'; drop table customers; select 1",
  'drop table "customers"',
  'drop table U&"c\\0075stomers"',
  'begin; drop table customers; commit',
  'select * from payroll',
  'select * from public.payroll',
  'select * from "payroll"',
  'SELECT * FROM PAYROLL',
  'select * from U&"p\\0061yroll"',
  'table payroll',
  'select (select salary from payroll limit 1)',
  'select 1 where exists (select from payroll)',
  'with payroll as (select * from payroll) select * from payroll',
  'with x as (select * from payroll) select 1',
  'select * from customers union select id, null, null, salary, null from payroll',
  'copy payroll to stdout',
  'copy (select * from payroll) to stdout',
  'declare c cursor with hold for select * from payroll',
  'prepare leak as select * from payroll',
  'explain analyze select * from payroll',
  'create temp table t as select * from payroll',
  'create temp table t (like payroll)',
  'insert into payroll values (2, 3)',
  'insert into customers(id) select salary from payroll',
  'lock table payroll',
  'update customers set name = 1',
  'delete from customers',
  'delete from customers where true',
  'delete from customers where 1 = 1',
  'with d as (delete from customers returning *) select * from d',
  'with d as (update customers set id = id returning *), e as (insert into customers(id) values (99)) select 1',
  'explain analyze delete from customers',
  'explain (analyze true, verbose) delete from customers',
  'copy (delete from customers returning id) to stdout',
  'prepare d as delete from customers',
  'execute never_prepared',
  'set standard_conforming_strings = off',
  "select set_config('standard_conforming_strings', 'off', false)",
  "select set_config('standard_' || 'conforming_strings', 'off', false)",
  "set client_encoding to 'SJIS'",
  "set names 'BIG5'",
  'selec 1',
  'select 1; selec 2',
]

test('P6: nothing passes by a rule in another spelling', { skip }, async () => {
  await using db = await client(stage.to('orders'))
  for (const text of bypasses) {
    await assert.rejects(
      db.query(text),
      error => /^(?:42501|42601|26000|22023)$/.test(code(error)),
      `simple: ${text}`,
    )
    await db.query('rollback')
    if (!text.includes(';')) {
      await assert.rejects(db.query({ text, values: [] }), Error, `extended: ${text}`)
    }
  }
  assert.equal(await stage.cluster.sql('select count(*) from customers', 'orders'), '5')
  assert.equal(await stage.cluster.sql('select count(*) from payroll', 'orders'), '1')
})

const writes: readonly string[] = [
  'insert into customers(id) values (9)',
  'select sneaky()',
  'select public.sneaky()',
  'select * from sneaky()',
  'do $$ begin delete from payroll; end $$',
  'call nothing()',
  "select query_to_xml('delete from customers', true, true, '')",
  "select nextval('x')",
  'select * from customers for update',
  'select 1 into t',
  'create temp table t(a int)',
  'begin read write',
  'start transaction isolation level serializable, read write',
  'set transaction read write',
  'set session characteristics as transaction read write',
  'set default_transaction_read_only = off',
  'set transaction_read_only to false',
  "select set_config('transaction_read_only', 'off', false)",
  'set session authorization postgres',
  'set role postgres',
  "load 'plpgsql'",
  "select pg_read_file('/etc/hostname')",
  "select lo_import('/etc/hostname')",
  'select pg_terminate_backend(1)',
  'select pg_sleep(1)',
  'select pg_advisory_lock(1)',
  "copy customers to '/tmp/never'",
  "copy customers to program 'cat'",
  "copy customers from program 'echo'",
  'copy customers from stdin',
  'alter system set work_mem = 1',
  'notify x',
  'truncate customers',
  'vacuum',
  'grant all on customers to public',
]

test('P5: nobody is asked for what would not run anyway', { skip }, async () => {
  const approvals = async (): Promise<number> =>
    (await stage.gateway.entries()).filter(each => each.kind.startsWith('approval.')).length
  const before = await approvals()
  await using db = await client(stage.to('orders'))
  const strings = [
    'truncate customers; drop table customers',
    'drop table customers; truncate customers',
    'select 1; truncate customers; select 2; delete from customers',
    'truncate customers; set standard_conforming_strings = off',
    'truncate customers; execute never_prepared',
  ]
  for (const text of strings) {
    await assert.rejects(
      db.query(text),
      error => /^(?:42501|26000|22023)$/.test(code(error)) && !/another statement/.test(String(error)),
      text,
    )
    assert.equal((await db.query('select count(*)::int as n from customers')).rows[0].n, 5, text)
  }
  assert.equal(await approvals(), before)
})

test('P6: a read-only connection stays so, whatever is tried', { skip }, async () => {
  await using db = await client(stage.to('readonly'))
  for (const text of writes) {
    await assert.rejects(db.query(text), error => /^(?:42501|25006)$/.test(code(error)), text)
    await db.query('rollback')
  }
  assert.equal(
    (await db.query('show default_transaction_read_only')).rows[0].default_transaction_read_only,
    'on',
  )
  await db.query('begin; set transaction read only; select * from customers; commit')
  await db.query('reset all')
  await db.query('discard all')
  assert.equal((await db.query('show transaction_read_only')).rows[0].transaction_read_only, 'on')
  assert.equal(await stage.cluster.sql('select count(*) from payroll', 'orders'), '1')
})

test('P6: a start-up packet turns nothing off', { skip }, async () => {
  for (const options of [
    '-c default_transaction_read_only=off',
    '--standard-conforming-strings=off',
    '-c role=postgres',
    '-csession_replication_role=replica',
  ])
    await assert.rejects(
      client({ ...stage.to('readonly'), options } as Reach),
      error => code(error) === '42501',
      options,
    )
  const replication = { ...stage.to('readonly'), replication: 'database' }
  await assert.rejects(client(replication as Reach), error => code(error) === '0A000')
})

test('P11: a denial in a transaction fails it as the server would, and savepoints bring it back', {
  skip,
}, async () => {
  const text = `begin; savepoint a;
drop table customers;
select 1;
rollback to a;
select 'back';
commit;
`
  const ran = await psql(stage, stage.to('orders'), text)
  assert.match(ran.stdout, /back/)
  assert.match(ran.stderr, /42501: Tables stay\.[\s\S]*rule "tables-stay"[\s\S]*25P02/)
})

test('P11: in a pipeline what came before a denial is undone, what follows is dropped, and the session goes on', {
  skip,
}, async () => {
  await using db = await client(stage.to('orders'))
  const results = await Promise.allSettled([
    db.query('select 1 as a', []),
    db.query('drop table customers', []),
    db.query('select 2 as a', []),
  ])
  assert.deepEqual(
    results.map(each => each.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
})

/** All would show what is masked on this connection. */
const dodges: readonly string[] = [
  'select email from customers',
  'select email as harmless from customers',
  'select c.email x from customers c',
  'select * from customers',
  'select c from customers c',
  'select c.*::text from customers c',
  'select email::text from customers',
  "select email || '' from customers",
  'select upper(email) from customers',
  'select reverse(name) from customers',
  'select substr(name, 1, 3), substr(name, 4) from customers',
  'select md5(name) from customers',
  "select string_agg(name, ',') from customers",
  'select array_agg(name) from customers',
  'select row_to_json(c) from customers c',
  'select to_jsonb(c) from customers c',
  'select json_agg(c) from customers c',
  'select x from (select name as x from customers) y',
  "select x || '' from (select name from customers) y(x)",
  "with w as (select name as x from customers) select x || '' from w",
  "select b || '' from customers as c(a, b, c)",
  "select name from customers union select ''",
  'select n from customers, lateral (select customers.name as n) l',
  "select case when name = 'Name 1' then name end from customers",
  'select coalesce(name) from customers',
  'select max(name) from customers',
  'select (customers).name from customers',
  'select ascii(name), length(name) from customers',
  'select phone from customers',
  'select phone + 1 from customers',
  "select encode(name::bytea, 'hex') from customers",
  'copy customers to stdout',
  'copy customers(name) to stdout',
  'copy (select name as x from customers) to stdout',
  'copy customers to stdout csv header',
  'insert into customers(id) values (50) returning (select name from customers limit 1)',
]

test('P8: a masked column is not to be read round the mask', { skip }, async () => {
  for (const text of dodges) {
    const ran = await psql(stage, stage.to('masked'), `${text};`)
    assert.doesNotMatch(
      ran.stdout,
      /user\d@|Name \d|4915100|1 emaN|4e616d65|^78\|/im,
      `${text}: ${ran.stdout}`,
    )
    assert.ok(!ran.stdout.includes('b1c2'), text)
    await stage.cluster.sql('delete from customers where id = 50', 'orders')
  }
  const kept = [
    'create temp table k as select name as x from customers',
    'create temp view v as select name from customers',
    'insert into customers(id, notes) select 60, to_json(name) from customers',
    'select name as x into temp kk from customers',
  ]
  for (const text of kept)
    assert.match(
      (await psql(stage, stage.to('masked'), `${text};`)).stderr,
      /42501.*kept? masked|would keep/i,
      text,
    )
  const failed = await psql(stage, stage.to('masked'), 'select name::int from customers;')
  assert.match(failed.stderr, /22P02/)
  assert.doesNotMatch(failed.stderr, /Name 1/)
})

test('P8: what is not masked stays as it is, and results keep their form', { skip }, async () => {
  await using db = await client(stage.to('masked'))
  const { rows } = await db.query('select id, email, phone, notes from customers where id = $1', [1])
  assert.deepEqual(rows, [
    { id: 1, email: '[masked:field]', phone: null, notes: { email: '[masked:email]', n: 1 } },
  ])
  const binary = await db.query({
    text: 'select id, email, phone, notes from customers where id = $1',
    values: [1],
    binary: true,
  } as pg.QueryConfig)
  assert.equal(binary.rows[0].id, 1)
  assert.ok(!JSON.stringify(binary.rows).includes('example.com'))
  assert.equal((await db.query('select count(email)::int as n from customers')).rows[0].n, 5)
  const [entry] = (
    await stage.ended(1, each => each.kind === 'action.completed' && each.masked !== undefined)
  ).slice(-1)
  assert.ok(entry!.masked!.count > 0)
})

test('P8: a recording holds no more than the client saw', { skip }, async () => {
  await psql(stage, stage.to('masked'), 'select 12345 as marker, name, email from customers;')
  const { entries, recordings } = {
    entries: await stage.gateway.entries(),
    recordings: stage.gateway.running.services.recordings,
  }
  const done = entries.filter(
    each =>
      each.kind === 'action.completed' && each.recording !== undefined && each.connection?.name === 'masked',
  )
  const text = (await recordings.read(done.at(-1)!.recording!))
    .map(each => each.bytes.toString('utf8'))
    .join('\n')
  assert.match(text, /12345/)
  assert.match(text, /\[masked:field\]/)
  assert.doesNotMatch(text, /Name \d|user\d@/)
})

test('P8: what one part of a statement must be masked by, its one answer is', { skip }, async () => {
  const text =
    'insert into customers(id) values (1) on conflict (id) do update set notes = null returning id, name;'
  assert.equal((await psql(stage, stage.to('plain'), text)).stdout, '1|[masked:field]\nINSERT 0 1\n')
  assert.match(
    (await psql(stage, stage.to('plain'), 'select name from customers where id = 2;')).stdout,
    /Name 2/,
  )
})
