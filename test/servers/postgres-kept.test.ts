/** What is found out once about a statement or result holds no longer than what it was found out of. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, psql, type Stage } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
let stage: Stage

before(async () => {
  if (bin !== undefined) stage = await openStage(bin)
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

interface Change {
  readonly first: string
  readonly text: string
  /** What makes the same text show a masked column. */
  readonly then: string
}

const changes: readonly Change[] = [
  {
    first: "create table kept(handle text); insert into kept values ('Name 1')",
    text: 'select * from kept',
    then: 'alter table kept rename handle to phone',
  },
  {
    first: "create view shown as select 'Name 1'::text as x from customers where id = 1",
    text: 'select x from shown',
    then: 'create or replace view shown as select name as x from customers where id = 1',
  },
  {
    first: "create function told() returns text language sql as 'select ''Name 1''::text'",
    text: 'select told()',
    then: "create or replace function told() returns text language sql as 'select name from customers where id = 1'",
  },
]

test('P8: the same text is masked from the moment that what it reads is another', { skip }, async () => {
  for (const { first, text, then } of changes) {
    const to = stage.to('masked')
    const run = (...texts: readonly string[]) => psql(stage, to, `${texts.join(';\n')};`)
    const before = await run(first, text, text)
    assert.match(before.stdout, /Name 1\nName 1\n$/, `${text}: ${before.stderr}`)
    // Behind the gateway's back: it looks again once a statement may have changed the catalogue.
    await stage.cluster.sql(then, 'orders')
    for (const changed of [await run('create temp table other()', text), await run(text)])
      assert.match(changed.stdout, /\[masked:field\]\n$/, `${text}: ${changed.stdout}${changed.stderr}`)
  }
})
