import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import fc from 'fast-check'
import { judge, type Judgement, loadParser } from './judge.ts'

before(loadParser)

function judged(text: string): readonly Judgement[] {
  const found = judge(Buffer.from(text))
  assert.ok('statements' in found, `${text}: ${'problem' in found ? found.problem : ''}`)
  return found.statements
}

const one = (text: string): Judgement => judged(text)[0]!

/** Statement, operation, risk. */
const table: readonly (readonly [string, string, string])[] = [
  ['select 1', 'SELECT', 'read'],
  ['select lower(x), pg_catalog.upper(y) from t', 'SELECT', 'read'],
  ['select lower(x), evil.upper(y) from t', 'SELECT', 'write'],
  ['select f(x) from t', 'SELECT', 'write'],
  ["select nextval('s')", 'SELECT', 'write'],
  ["select pg_read_file('/etc/passwd')", 'SELECT', 'admin'],
  ["select dblink_exec('x', 'y')", 'SELECT', 'admin'],
  ['select pg_terminate_backend(1)', 'SELECT', 'admin'],
  ["select query_to_xml('delete from t', true, true, '')", 'SELECT', 'admin'],
  ["select set_config('work_mem', '1MB', false)", 'SELECT', 'read'],
  ["select set_config('role', 'x', false)", 'SELECT', 'admin'],
  ["select set_config(x, 'y', false) from t", 'SELECT', 'admin'],
  ["select set_config(e.name, 'y', false) from evil e where name = 'harmless'", 'SELECT', 'admin'],
  ['select 1 into t', 'SELECT INTO', 'write'],
  ['select * from t for share', 'SELECT FOR UPDATE', 'write'],
  ['with x as (delete from t where a = 1 returning *) select * from x', 'DELETE', 'delete'],
  ['insert into t select * from u', 'INSERT', 'write'],
  ['insert into t values (1) on conflict (a) do update set b = 1', 'INSERT', 'write'],
  ['merge into t using s on t.a = s.a when matched then delete', 'DELETE', 'delete'],
  ['explain delete from t', 'EXPLAIN', 'read'],
  ['explain select f()', 'EXPLAIN', 'write'],
  ['explain analyze delete from t', 'DELETE', 'delete'],
  ['explain (analyze 1) update t set a = 1', 'UPDATE', 'write'],
  ['create table t as select 1', 'CREATE TABLE AS', 'write'],
  ['create materialized view v as select 1', 'CREATE MATERIALIZED VIEW', 'write'],
  ['copy t to stdout', 'COPY TO', 'read'],
  ['copy t from stdin', 'COPY FROM', 'write'],
  ["copy t to program 'x'", 'COPY TO PROGRAM', 'admin'],
  ["copy t from '/etc/passwd'", 'COPY FROM FILE', 'admin'],
  ['copy (delete from t returning *) to stdout', 'DELETE', 'delete'],
  ['drop table t', 'DROP TABLE', 'delete'],
  ['drop function f()', 'DROP FUNCTION', 'admin'],
  ['truncate t', 'TRUNCATE', 'delete'],
  ['alter table t add column x int', 'ALTER TABLE', 'write'],
  ['alter table t owner to x', 'ALTER TABLE', 'admin'],
  ['alter table t disable row level security', 'ALTER TABLE', 'admin'],
  ['alter table t disable trigger all', 'ALTER TABLE', 'admin'],
  ['grant all on t to x', 'GRANT', 'admin'],
  ['revoke all on t from x', 'REVOKE', 'admin'],
  ['create role x', 'CREATE ROLE', 'admin'],
  ['set role x', 'SET ROLE', 'admin'],
  ['set local role x', 'SET ROLE', 'admin'],
  ['set session authorization x', 'SET SESSION AUTHORIZATION', 'admin'],
  ['set search_path = x', 'SET', 'read'],
  ["set app.tenant = '7'", 'SET', 'admin'],
  ['set session_replication_role = replica', 'SET', 'admin'],
  ['do $$ begin end $$', 'DO', 'admin'],
  ['call p()', 'CALL', 'write'],
  ['begin', 'BEGIN', 'read'],
  ["prepare transaction 'x'", 'PREPARE TRANSACTION', 'write'],
  ['prepare x as delete from t', 'DELETE', 'delete'],
  ['declare c cursor for select 1', 'DECLARE CURSOR', 'read'],
  ['alter system set a = 1', 'ALTER SYSTEM', 'admin'],
  ['create function f() returns int language sql as $$ select 1 $$', 'CREATE FUNCTION', 'admin'],
  ['lock table t', 'LOCK TABLE', 'write'],
  ['create extension dblink', 'CREATE EXTENSION', 'admin'],
]

test('P6: statements are named and weighed by what they do, whatever hides it', () => {
  for (const [text, operation, risk] of table) {
    const found = one(text)
    assert.deepEqual([found.operations[0]!.name, found.risk], [operation, risk], text)
  }
})

test('P6: a statement that does several things names them all', () => {
  const names = (text: string): string[] => one(text).operations.map(each => each.name)
  assert.deepEqual(names('with a as (delete from t), b as (update u set x = 1) insert into v select 1'), [
    'DELETE',
    'INSERT',
    'UPDATE',
    'SELECT',
  ])
  assert.deepEqual(names('insert into t values (1) on conflict (a) do update set b = 1'), [
    'INSERT',
    'UPDATE',
    'SELECT',
  ])
})

test('P6: tables are those that are meant, not those that WITH makes', () => {
  const tables = (text: string): readonly string[] => one(text).qualified
  assert.deepEqual(tables('with a as (select * from b) select * from a, c.a'), ['b', 'c.a'])
  assert.deepEqual(tables('with a as (select * from a) select * from a'), ['a'])
  assert.deepEqual(tables('with recursive a as (select * from a) select * from a'), [])
  assert.deepEqual(tables('with a as (select 1) delete from a'), ['a'])
  assert.deepEqual(tables('select * from t where x in (with t as (select 1) select * from t)'), ['t'])
  assert.deepEqual(tables('select (select x from s.u), lateral_.z from v lateral_ join w using (k)'), [
    's.u',
    'v',
    'w',
  ])
})

test('P6: tables are found behind what is named of them', () => {
  const qualified = (text: string): readonly string[] => one(text).qualified
  for (const text of [
    'drop trigger x on s.t',
    'drop policy x on s.t',
    'drop rule x on s.t',
    'comment on column s.t.x is null',
    'comment on trigger x on s.t is null',
    'comment on constraint x on s.t is null',
    "security label on column s.t.x is 'y'",
    'drop table s.t',
    'comment on table s.t is null',
    'alter table s.t disable trigger x',
    'create trigger x before insert on s.t execute function f()',
    'create policy x on s.t',
    'create rule x as on insert to s.t do instead nothing',
    'vacuum s.t',
    'lock s.t',
    'truncate s.t',
    'create table x.y (a int references s.t)',
    'create table x.y () inherits (s.t)',
    'alter table x.y attach partition s.t default',
    'create publication p for table s.t',
    'create statistics s on a, b from s.t',
    'grant select on s.t to public',
    'cluster s.t',
    'analyze s.t (a)',
    'refresh materialized view s.t',
  ])
    assert.ok(qualified(text).includes('s.t'), text)
})

test('P6: a statement about a schema is about all that is in it', () => {
  for (const text of [
    'drop schema s cascade',
    'grant all on all tables in schema s to public',
    'reindex schema s',
    'alter schema s rename to t',
    'alter schema s owner to t',
    'create publication p for tables in schema s',
  ])
    assert.deepEqual(one(text).references, [{ schema: 's', name: '*', use: 'named' }], text)
})

test('P6: what a statement makes is told from what is there', () => {
  const uses = (text: string): string[] =>
    one(text).references.map(each => `${each.schema ?? ''}.${each.name} ${each.use}`)
  assert.deepEqual(uses('create table a as select * from b'), ['.a made', '.b named'])
  assert.deepEqual(uses('create temp view a as select * from b'), ['.a made temporary', '.b named'])
  assert.deepEqual(uses('select 1 into pg_temp.a'), ['pg_temp.a made temporary'])
  assert.deepEqual(uses('create table s.a (like b)'), ['s.a made', '.b named'])
  assert.deepEqual(uses('alter table a rename to b'), ['.b made', '.a named'])
  assert.deepEqual(uses('alter table s.a set schema t'), ['t.a made', 's.a named'])
})

test('P6: a WHERE that looks at no column is none', () => {
  for (const text of [
    'delete from t',
    'update t set a = 1 where true',
    'delete from t where 1 = 1',
    'with x as (delete from t) select 1',
  ])
    assert.equal(one(text).where, false, text)
  for (const text of ['delete from t where a = 1', 'update t set a = 1 where current of c', 'select 1'])
    assert.equal(one(text).where, true, text)
})

test('P6: what is no text, ends early or does not parse has no judgement', () => {
  for (const bytes of [
    Buffer.from('select 1\0; drop table t'),
    Buffer.from([0x73, 0xff, 0xfe]),
    Buffer.from('selec'),
    Buffer.from("select '"),
  ])
    assert.ok('problem' in judge(bytes))
  assert.ok('problem' in judge(Buffer.from(`select ${'('.repeat(20_000)}1${')'.repeat(20_000)}`)))
  assert.ok('problem' in judge(Buffer.from(`select ${'1+'.repeat(20_000)}1`)))
  assert.deepEqual(judged(''), [])
  assert.deepEqual(judged(' -- nothing\n/* at all */ '), [])
})

test('P6: no text makes the judge throw, and the same text is judged the same', () => {
  const words = fc.constantFrom(
    'select',
    'delete',
    'from',
    't',
    "'",
    '"',
    '$$',
    ';',
    '(',
    ')',
    '--',
    '/*',
    '*/',
    "E'",
    'with',
    'as',
    '\\',
    ',',
    '1',
    'é',
    '\n',
  )
  fc.assert(
    fc.property(fc.array(words, { maxLength: 25 }), parts => {
      const bytes = Buffer.from(parts.join(' '))
      assert.deepEqual(Object.keys(judge(bytes)), Object.keys(judge(bytes)))
    }),
  )
})

test('P9: constants are out of the normalised statement, passwords too', () => {
  assert.equal(
    one("select * from t where a = 'secret' and b = 5").normalized(),
    'select * from t where a = $1 and b = $2',
  )
  assert.ok(!one("alter role x password 'hunter2'").normalized().includes('hunter2'))
})

test('P6: what is kept is what a fresh judgement would be, and vouches for no other bytes', () => {
  const plain = (text: string): unknown[] =>
    judged(text).map(each => ({ ...each, normalized: each.normalized() }))
  const texts = table.map(([text]) => text)
  const kept = texts.map(text => [judge(Buffer.from(text)), plain(text)] as const)
  for (const [at, text] of texts.entries()) assert.equal(judge(Buffer.from(text)), kept[at]![0])
  // More than are kept.
  for (let other = 0; other < 4100; other++) judge(Buffer.from(`select ${other}`))
  for (const [at, text] of texts.entries()) {
    assert.notEqual(judge(Buffer.from(text)), kept[at]![0])
    assert.deepEqual(plain(text), kept[at]![1])
  }
  const replacement = Buffer.from("select '\ufffd'")
  assert.ok('statements' in judge(replacement))
  const broken = Buffer.concat([Buffer.from("select '"), Buffer.of(0xff), Buffer.from("'")])
  assert.equal(broken.toString(), replacement.toString())
  assert.ok('problem' in judge(broken))
  assert.ok('statements' in judge(replacement))
})
