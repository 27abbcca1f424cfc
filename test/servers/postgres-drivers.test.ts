/** Drivers from Debian through a whole gateway: what they see is what a direct connection shows them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, program, psql, type Reach, type Stage } from './postgres-stage.ts'

const run = promisify(execFile)
const here = import.meta.dirname
// Debian's own, whatever else stands in the PATH.
const python = '/usr/bin/python3'
const jdbc = '/usr/share/java/postgresql.jar'
const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
let stage: Stage

before(async () => {
  if (bin !== undefined) stage = await openStage(bin)
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

async function has(module: string): Promise<string | false> {
  if (bin === undefined) return missing
  const found = await run(python, ['-c', `import ${module}`]).catch(() => undefined)
  return found === undefined
    ? `SKIPPED LOUDLY: python3-${module} is not installed; run script/servers`
    : false
}

function uri({ host, port, user, password, database }: Reach): string {
  return `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`
}

/** Addresses and process ids are the server's own affair. */
async function same(see: (reach: Reach) => Promise<string>): Promise<string> {
  const [through, direct] = [await see(stage.to('orders')), await see(stage.direct)]
  assert.equal(through, direct)
  assert.ok(direct.length > 500, direct)
  return through
}

for (const [module, script] of [
  ['psycopg2', 'postgres-psycopg2.py'],
  ['psycopg', 'postgres-psycopg3.py'],
] as const)
  test(`P11: ${module} sees the same through the gateway as directly`, {
    skip: await has(module),
  }, async () => {
    const seen = await same(
      async reach => (await run(python, [join(here, script), uri(reach)], { timeout: 60_000 })).stdout,
    )
    assert.match(seen, /noticed/)
  })

const noJdbc =
  bin === undefined
    ? missing
    : existsSync(jdbc)
      ? false
      : 'SKIPPED LOUDLY: libpostgresql-jdbc-java is not installed; run script/servers'

test('P11: JDBC sees the same through the gateway as directly', { skip: noJdbc }, async () => {
  const see = async ({ host, port, user, password, database }: Reach): Promise<string> => {
    const args = ['-cp', jdbc, join(here, 'PostgresJdbc.java')]
    const url = `jdbc:postgresql://${host}:${port}/${database}`
    const java = await run('java', [...args, url, user, password], { timeout: 120_000 })
    return java.stdout + java.stderr
  }
  assert.match(await same(see), /noticed/)
})

test('P11: pg_dump in its own format, and pg_restore of it, give the same database', { skip }, async () => {
  const file = join(stage.world.directory, 'orders.dump')
  const dump = ['-Fc', '--no-owner', '--schema=public', '--exclude-table=payroll', '-f', file]
  const dumped = await program(stage, 'pg_dump', { reach: stage.to('orders'), args: dump })
  assert.deepEqual([dumped.code, dumped.stderr], [0, ''])
  const listed = await program(stage, 'pg_restore', { reach: stage.direct, args: ['-f', '-', file] })
  assert.match(listed.stdout, /COPY public.customers/)

  const before = await stage.cluster.sql('select * from customers order by id', 'orders')
  await stage.cluster.sql('truncate customers', 'orders')
  const args = ['--data-only', '--single-transaction', '--table=customers', '-d', 'orders', file]
  const restored = await program(stage, 'pg_restore', { reach: stage.to('orders'), args })
  assert.deepEqual([restored.code, restored.stderr], [0, ''])
  assert.equal(await stage.cluster.sql('select * from customers order by id', 'orders'), before)
  await rm(file)
})

test('P11: \\copy writes and reads the same files', { skip }, async () => {
  const files: Buffer[] = []
  for (const [name, reach] of [
    ['through', stage.to('orders')],
    ['direct', stage.direct],
  ] as const) {
    const at = (format: string): string => join(stage.world.directory, `${name}.${format}`)
    const ran = await psql(
      stage,
      reach,
      `create temp table big as select g, repeat('é', g % 50), null::int from generate_series(1, 20000) g;
\\copy big to '${at('text')}'
\\copy (select * from big order by g) to '${at('csv')}' csv header
\\copy big to '${at('binary')}' binary
create temp table back(like big);
\\copy back from '${at('text')}'
\\copy back from '${at('csv')}' csv header
\\copy back from '${at('binary')}' binary
select count(*), count(distinct g) from back;
`,
    )
    assert.equal(ran.stderr, '')
    assert.match(ran.stdout, /60000\|20000/)
    for (const format of ['text', 'csv', 'binary']) files.push(await readFile(at(format)))
  }
  for (const index of [0, 1, 2]) assert.ok(files[index]!.equals(files[index + 3]!))
})

test('P11: a trigger that speaks before the first row of a COPY does not end it', { skip }, async () => {
  const ran = await psql(
    stage,
    stage.to('orders'),
    `create table told(a int);
create function tell() returns trigger language plpgsql as $$ begin raise notice 'told'; return new; end $$;
create trigger t before insert on told for each statement execute function tell();
create trigger u before insert on told for each row execute function tell();
copy told from stdin;
1
2
\\.
select sum(a) from told;
`,
  )
  assert.match(ran.stdout, /COPY 2\n3/)
  assert.equal(ran.stderr.match(/NOTICE/g)?.length, 3)
})
