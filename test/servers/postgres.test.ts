/** PostgreSQL's own clients through a whole gateway: what they get is what a direct connection gives them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, program, psql, type Stage, upstreamPassword } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
let stage: Stage

before(async () => {
  if (bin !== undefined) stage = await openStage(bin)
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

const session = `
create temp table t(a int, b text, c bytea, d numeric[], e jsonb);
insert into t select g, repeat('x', g), decode('00ff', 'hex'), array[1.5, g], '{"k":[1,2]}' from generate_series(1, 50) g returning a;
select * from t order by a;
begin; insert into t(a) values (1000); savepoint s; select 1/0; rollback to s; select count(*) from t; commit;
select 1; select 2 \\; select 3; select no_such;
/* comment */ -- and another

declare c cursor with hold for select a from t order by a; fetch 3 from c; move 2 in c; fetch backward 1 from c; close c;
prepare p(int) as select a from t where a = $1; execute p(7); deallocate p;
copy (select a, b from t where a < 4 order by a) to stdout;
copy t(a, b) from stdin;
2001	copied\\tin
2002	\\N
\\.
select a, b from t where a > 2000 order by a;
select lo_create(424242), lo_unlink(424242);
listen news; notify news, 'payload';
do $$ begin raise notice 'noticed'; end $$;
select U&'d\\0061t\\+000061', E'a\\'b', $q$dollar;quoted$q$, 'semi;colon';
explain (costs off) select * from t;
set datestyle to 'German'; select date '2026-11-21'; show datestyle;
\\d customers
select $1::int + 1 \\bind 41 \\g
\\dt
`

test('P11: psql shows the same through the gateway as directly', { skip }, async () => {
  const [through, direct] = [
    await psql(stage, stage.to('orders'), session),
    await psql(stage, stage.direct, session),
  ]
  // Process ids and places in the server's source are the server's own affair.
  const plain = (text: string): string => text.replaceAll(/process with PID \d+|PID \d+/g, 'PID')
  assert.equal(plain(through.stdout), plain(direct.stdout))
  assert.equal(plain(through.stderr), plain(direct.stderr))
  assert.match(through.stdout, /2001\|copied\tin/)
})

test('P11: pg_dump and pg_restore give the same database', { skip }, async () => {
  const options = ['--no-owner', '--exclude-table=payroll', '--restrict-key=a']
  const accepted = (
    await program(stage, 'pg_dump', { reach: stage.direct, args: ['--help'] })
  ).stdout.includes('--restrict-key')
  const args = accepted ? options : options.slice(0, 2)
  const through = await program(stage, 'pg_dump', { reach: stage.to('orders'), args })
  const direct = await program(stage, 'pg_dump', { reach: stage.direct, args })
  assert.equal(through.stderr, '')
  assert.equal(through.stdout, direct.stdout)
  assert.match(through.stdout, /COPY public.customers/)

  const script = through.stdout
    .replaceAll('public.', 'restored.')
    .replaceAll('SELECT pg_catalog.set_config', '-- ')
  const restored = await program(stage, 'psql', {
    reach: stage.to('orders'),
    args: ['-Xq', '-v', 'ON_ERROR_STOP=1'],
    input: `create schema restored;\n${script}`,
  })
  assert.equal(restored.stderr, '')
  assert.equal(await stage.cluster.sql('select count(*) from restored.customers', 'orders'), '5')
})

for (const mode of ['simple', 'extended', 'prepared']) {
  test(`P11: pgbench -M ${mode} runs without an error`, { skip }, async () => {
    if ((await stage.cluster.sql("select to_regclass('pgbench_accounts') is null", 'orders')) === 't')
      assert.equal(
        (await program(stage, 'pgbench', { reach: stage.direct, args: ['-i', '-q', '-s', '1'] })).code,
        0,
      )
    const ran = await program(stage, 'pgbench', {
      reach: stage.to('orders'),
      args: ['-n', '-M', mode, '-c', '4', '-t', '20'],
    })
    assert.equal(ran.code, 0, ran.stderr)
    assert.match(ran.stdout, /number of transactions actually processed: 80\/80/)
  })
}

test('P4, P9: entries name the agent, and the login of the gateway is nowhere', { skip }, async () => {
  await psql(stage, stage.to('orders'), "select 'attributed' as x, current_user")
  const [entry] = await stage.ended(
    1,
    each => each.kind === 'action.completed' && JSON.stringify(each.db).includes('current_user'),
  )
  assert.equal(entry!.subject?.kind, 'agent')
  assert.equal((entry!['db'] as Record<string, unknown>)['row_count'], 1)
  assert.equal((entry!['db'] as Record<string, unknown>)['statement'], 'select $1 as x, current_user')
  assert.ok(!JSON.stringify(await stage.gateway.entries()).includes(upstreamPassword))
  const named = await stage.cluster.sql(
    "select count(*) from pg_stat_activity where application_name like 's\\_%'",
  )
  assert.ok(Number(named) >= 0)
})

test('P2: each intent has one end, and no session stays behind on the server', { skip }, async () => {
  const entries = await stage.gateway.entries()
  const intents = entries.filter(each => each.kind === 'action.intended').map(each => each.action)
  const ends = entries.filter(each => /^action\.(?!intended)/.test(each.kind)).map(each => each.action)
  assert.equal(ends.length, intents.length)
  assert.deepEqual(new Set(ends), new Set(intents))
  const left = await stage.cluster.sql("select count(*) from pg_stat_activity where usename = 'app'")
  assert.equal(left, '0')
})
