/** How much of a result is recorded, and that `sessions replay` shows it as a table, text and binary alike. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, psql, type Stage } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
const run = promisify(execFile)
let stage: Stage

before(async () => {
  if (bin === undefined) return
  const level = (name: string, connection: string, record: 'metadata' | { first_rows: number } | 'full') => ({
    name,
    effect: 'allow' as const,
    connections: { names: [connection] },
    risks: ['read' as const, 'write' as const],
    record,
    mask: ['people'],
  })
  stage = await openStage(bin, {
    rules: [
      level('all', 'orders', 'full'),
      level('some', 'masked', { first_rows: 2 }),
      level('counts', 'plain', 'metadata'),
    ],
  })
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

/** What the command shows of the newest session on this connection. */
async function replayed(connection: string): Promise<string> {
  const entries = await stage.gateway.waitForEntries(
    1,
    each => each.kind === 'session.ended' && each.connection?.name === connection,
  )
  const args = ['--url', stage.gateway.url, 'sessions', 'replay', entries.at(-1)!.session!]
  const { stdout } = await run(join(import.meta.dirname, '../../script/sallyport'), args, {
    env: { ...process.env, SALLYPORT_TOKEN: await stage.world.token('cam') },
  })
  return stdout
}

test('P8: a replay shows statements with their masked results as tables, binary ones decoded', {
  skip,
}, async () => {
  const db = new pg.Client({ ...stage.to('orders'), ssl: false, binary: true } as pg.ClientConfig)
  db.on('error', () => undefined)
  await db.connect()
  await db.query(
    "select 1.50::numeric as price, date '2026-01-02' as day, point(1,2) as place where $1 = 1",
    [1],
  )
  await db.query('select id, email from customers where id < $1 order by id', [3])
  await db.end()
  const shown = await replayed('orders')
  assert.match(shown, /< price \| day +\| place/)
  assert.match(shown, /< 1\.50 +\| 2026-01-02 \| \\x3ff0/)
  assert.match(shown, /< id \| email/)
  assert.match(shown, /< 1 {2}\| \[masked:field\]/)
  assert.match(shown, /SELECT 2/)
  assert.doesNotMatch(shown, /user1@/)
})

test('a rule says how many rows are recorded; all are counted', { skip }, async () => {
  await psql(stage, stage.to('masked'), 'select id from customers order by id; copy customers(id) to stdout')
  const some = await replayed('masked')
  assert.match(some, /< id\s[^]*< 1\s[^]*< 2\s/)
  assert.doesNotMatch(some, /< 3\s/)
  assert.match(some, /SELECT 5\s[^]*5, of which 2 are recorded/)
  assert.match(some, /COPY 5/)
  await psql(stage, stage.to('plain'), 'select id + 700 as marked from customers')
  const counts = await replayed('plain')
  assert.match(counts, /marked[^]*SELECT 5/)
  assert.doesNotMatch(counts, /701/)
})
