/** What an approver is shown of a statement that waits: the server's plan, asked for without running anything. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { Entry } from '../../src/audit/events.ts'
import type { ApprovalView } from '../../src/cli/approval-text.ts'
import { approver } from '../support/approver.ts'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openRules, openStage, type Stage } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
let stage: Stage

before(async () => {
  if (bin === undefined) return
  const asks = {
    name: 'changes',
    effect: 'require_approval' as const,
    connections: { names: ['orders'] },
    operations: ['UPDATE', 'DELETE', 'MERGE'],
    approval: { approvers: ['group:security'] },
  }
  stage = await openStage(bin, { rules: [...openRules, asks] })
  await stage.cluster.sql(
    `create table big as select g as id, g % 10 as kind from generate_series(1, 10000) g; analyze big;
     create schema other; create table other.big(id int, kind int);
     create function evil() returns text immutable language plpgsql as
       $$ begin perform pg_advisory_lock(4711); return 'x'; end $$`,
    'orders',
  )
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

async function client(): Promise<pg.Client & AsyncDisposable> {
  const made = new pg.Client({ ...stage.to('orders'), ssl: false })
  made.on('error', () => undefined)
  await made.connect()
  return Object.assign(made, { [Symbol.asyncDispose]: () => made.end() })
}

/** Sends it, and gives what the approver is shown; then denies it. */
async function shown(db: pg.Client, text: string, values: unknown[] = []): Promise<ApprovalView> {
  const noticed = once(db, 'notice')
  const refused = assert.rejects(db.query(text, values))
  const [{ message }] = (await noticed) as [{ message: string }]
  const id = /held for approval (\S+)/.exec(message)![1]!
  const person = approver(stage.gateway.url, await stage.world.token('cam'))
  const found = (await person.pending()).find(each => each.id === id)
  await person.vote(id, 'deny')
  await refused
  return found!
}

const foreseen = (asked: ApprovalView): Record<string, string> =>
  Object.fromEntries((asked.preview?.foreseen ?? []).map(({ name, text }) => [name, text]))

const isPreview = (entry: Entry): boolean =>
  (entry['db'] as { purpose?: string } | undefined)?.purpose === 'preview'

test('P5: the approver sees statement, values, plan and estimated rows, and the read has entries', {
  skip,
}, async () => {
  await using db = await client()
  const asked = await shown(db, 'update big set kind = $1 where id <= $2', [3, 2000])
  assert.deepEqual((asked.request as { values?: unknown }).values, ['3', '2000'])
  const found = foreseen(asked)
  const rows = Number(/^Update on big: about (\d+)$/.exec(found['Estimated rows'] ?? '')?.[1])
  assert.ok(rows > 1500 && rows < 2500, found['Estimated rows'])
  assert.match(found['Plan']!, /Seq Scan on big/)
  assert.equal(await stage.cluster.sql('select count(*) from big where kind = 3', 'orders'), '1000')
  const entries = await stage.ended(1, each => isPreview(each) && each.kind === 'action.completed')
  assert.equal(entries[0]!.subject?.id, 'gateway')
  assert.equal((entries[0]!['db'] as { operation?: string }).operation, 'EXPLAIN')
  assert.equal((await db.query('select count(*)::int as n from big')).rows[0].n, 10_000)
})

test('P5: the plan is that of the session: its search_path, its temporary tables, its transaction', {
  skip,
}, async () => {
  await using db = await client()
  await db.query('set search_path = other, public')
  const emptied = foreseen(await shown(db, 'delete from big where id > 0'))['Estimated rows']
  assert.notEqual(emptied, 'Delete on big: about 10000', 'it is the table of the other schema')
  await db.query('create temp table mine as select 1 as a')
  assert.match(foreseen(await shown(db, 'delete from mine where a = 1'))['Plan']!, /Seq Scan on mine/)
  const before = await db.query('show transaction_read_only')
  assert.equal(before.rows[0].transaction_read_only, 'off')
  await db.query('begin')
  await db.query('create temp table later as select 1 as a')
  await assert.rejects(
    db.query('delete from later where a = 1'),
    (error: Error & { code?: string }) => error.code === 'SP001',
  )
  await db.query('rollback')
  const person = approver(stage.gateway.url, await stage.world.token('cam'))
  const [asked] = await person.pending()
  assert.match(foreseen(asked!)['Plan']!, /Seq Scan on later/)
  await db.query('create temp table again(a int)')
})

test('P6: a preview runs nothing: no function that is not known, no wait for locks', { skip }, async () => {
  await using db = await client()
  const asked = await shown(db, 'update customers set name = evil() where email = evil()')
  assert.equal(asked.preview, undefined)
  assert.equal(await stage.cluster.sql("select count(*) from pg_locks where locktype = 'advisory'"), '0')
  const locker = new pg.Client({ ...stage.direct, ssl: false })
  await locker.connect()
  await locker.query('begin; lock table big in access exclusive mode')
  assert.match(foreseen(await shown(db, 'delete from big where id = 1'))['Plan']!, /SQLSTATE 55P03/)
  await locker.query('rollback')
  await locker.end()
  await db.query('create temp table still_writable(a int)')
})
