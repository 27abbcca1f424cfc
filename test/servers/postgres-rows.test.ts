/** A policy's limit of rows, with the clients and messages by which rows are fetched. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, psql, type Stage } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
let stage: Stage

before(async () => {
  if (bin === undefined) return
  const everything = {
    effect: 'allow' as const,
    risks: ['read' as const, 'write' as const, 'delete' as const, 'admin' as const],
  }
  stage = await openStage(bin, {
    rules: [
      { name: 'few', ...everything, connections: { names: ['plain'] }, limit_rows: { rows: 3 } },
      {
        name: 'none-more',
        ...everything,
        connections: { names: ['orders'] },
        limit_rows: { rows: 3, beyond: 'refuse' },
      },
      { name: 'cursors', effect: 'allow', operations: ['FETCH'], unknown: true },
    ],
  })
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

async function client(name: string): Promise<pg.Client & AsyncDisposable> {
  const made = new pg.Client({ ...stage.to(name), ssl: false })
  made.on('error', () => undefined)
  await made.connect()
  return Object.assign(made, { [Symbol.asyncDispose]: () => made.end() })
}

const series = (count: number): string => `select generate_series(1, ${count}) as n`

test('P11: a result beyond the limit is cut, the client is told, and the session goes on', {
  skip,
}, async () => {
  const ran = await psql(
    stage,
    stage.to('plain'),
    `${series(3)};\n${series(10)};\nbegin;\n${series(5000)};\nselect 'on';\ncommit;\n${series(100_000)};\n` +
      `copy (${series(9)}) to stdout;\ncopy (${series(9)}) to stdout csv header;\n` +
      `begin; declare c cursor for ${series(9)}; fetch 2 from c; fetch all from c; commit;\nselect 'end';\n`,
  )
  assert.equal(
    ran.stdout.replaceAll('\n', ' '),
    '1 2 3 1 2 3 BEGIN 1 2 3 on COMMIT 1 2 3 1 2 3 n 1 2 3 BEGIN DECLARE CURSOR 1 2 3 4 5 COMMIT end ',
  )
  assert.equal([...ran.stderr.matchAll(/01000: the result was cut at 3 rows by policy/g)].length, 6)
  assert.match(ran.stderr, /rule "few"/)
})

test('P11: tags and counts say what the client got', { skip }, async () => {
  await using db = await client('plain')
  for (const values of [undefined, []]) {
    const found = await db.query(series(50_000), values)
    assert.deepEqual([found.rowCount, found.rows.length, found.command], [3, 3, 'SELECT'])
  }
  const several = (await db.query(`${series(5)}; select 1 as n; ${series(7)}`)) as unknown as pg.QueryResult[]
  assert.deepEqual(
    several.map(each => each.rows.length),
    [3, 1, 3],
  )
  const inserted = await db.query('insert into payroll select g, g from generate_series(2, 9) g returning id')
  assert.deepEqual([inserted.rowCount, inserted.rows.length], [8, 3])
  const entries = await stage.ended(
    1,
    each => each.kind === 'action.completed' && JSON.stringify(each).includes('cut_at'),
  )
  const { db: facts } = entries.at(-1)! as unknown as { db: { cut_at: number; row_count: number } }
  assert.deepEqual([facts.cut_at, facts.row_count], [3, 3])
})

test('P11: a result that is fetched in pieces is cut as a whole', { skip }, async () => {
  await using db = await client('plain')
  await db.query('begin')
  const cursor = db.query(new Cursor(series(10)))
  assert.deepEqual(await cursor.read(2), [{ n: 1 }, { n: 2 }])
  assert.deepEqual(await cursor.read(2), [{ n: 3 }])
  assert.deepEqual(await cursor.read(2), [])
  await cursor.close()
  assert.equal((await db.query('select 1 as n')).rows[0].n, 1)
  await db.query('commit')
  const both = await Promise.all([
    db.query(series(10), []),
    db.query('select 2 as n', []),
    db.query(series(4), []),
  ])
  assert.deepEqual(
    both.map(each => each.rows.length),
    [3, 1, 3],
  )
})

test('P6: where policy refuses, the statement ends with an error, and so does its transaction', {
  skip,
}, async () => {
  await using db = await client('orders')
  const tooMany = (error: { code?: string }): boolean => error.code === '54000'
  for (const values of [undefined, []]) {
    assert.equal((await db.query(series(3), values)).rows.length, 3)
    await assert.rejects(db.query(series(4), values), tooMany)
    await assert.rejects(db.query(series(200_000), values), tooMany)
    assert.equal((await db.query('select 1 as n', values)).rows[0].n, 1)
    await db.query('begin')
    await assert.rejects(db.query(series(4), values), tooMany)
    await assert.rejects(db.query('select 1'), { code: '25P02' })
    await db.query('rollback')
  }
  await assert.rejects(db.query(`${series(1)}; insert into payroll values (100, 1)`), { code: '42501' })
  const refused = await psql(stage, stage.to('orders'), `copy (${series(9)}) to stdout;\nselect 'on';\n`)
  assert.match(refused.stderr, /54000/)
  assert.match(refused.stdout, /on/)
  // What has changed something can't be taken back by an error: its rows are cut.
  const changed = await db.query(
    'insert into payroll select g, g from generate_series(200, 209) g returning id',
  )
  assert.deepEqual([changed.rowCount, changed.rows.length], [10, 3])
})

test('P6: COPY in binary form can not be cut, so it does not run', { skip }, async () => {
  const ran = await psql(stage, stage.to('plain'), `copy (${series(9)}) to stdout binary;\nselect 'on';\n`)
  assert.match(ran.stderr, /42501.*binary/)
  assert.equal(ran.stdout, 'on\n')
})
