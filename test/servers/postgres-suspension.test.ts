/** An identity is suspended while its clients are connected: what runs ends, who idles is sent away, nothing more runs. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, type Stage } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
let stage: Stage

before(async () => {
  if (bin === undefined) return
  const rule = { name: 'all', effect: 'allow' as const, risks: ['read' as const, 'write' as const] }
  stage = await openStage(bin, { rules: [rule] })
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

interface Watched {
  readonly db: pg.Client
  /** Resolves with the error that the session ended with. */
  readonly gone: Promise<{ code?: string }>
}

async function watched(): Promise<Watched> {
  const db = new pg.Client({ ...stage.to('plain'), ssl: false })
  const gone = new Promise<{ code?: string }>(resolve =>
    db.on('error', error => resolve(error as { code?: string })),
  )
  await db.connect()
  return { db, gone }
}

test('P6: a suspended identity loses its sessions, and starts nothing in others', { skip }, async () => {
  const idle = await watched()
  const open = await watched()
  const running = await watched()
  await open.db.query('begin')
  await open.db.query('insert into payroll values (77, 77)')
  const sleeping = running.db.query('select pg_sleep(300)').then(
    () => 'slept',
    () => 'ended',
  )
  await stage.ended(
    1,
    each => each.kind === 'action.intended' && JSON.stringify(each.db).includes('pg_sleep'),
  )
  const { services } = stage.gateway.running
  const [session] = services.sessions.list()
  const { issuer, id } = session!.subject
  await services.restrictions.impose({
    kind: 'suspend',
    who: { issuer, id, kind: 'agent' },
    reason: 'a test',
  } as Parameters<typeof services.restrictions.impose>[0])
  assert.equal((await idle.gone).code, '57P01')
  assert.equal((await open.gone).code, '57P01')
  assert.equal(await sleeping, 'ended')
  // The server's side has gone too, and with it what was not committed.
  const others =
    "select count(*) from pg_stat_activity where usename = 'app' and application_name like 's\\_%'"
  for (let left = '1'; left !== '0'; ) left = await stage.cluster.sql(others)
  assert.equal(await stage.cluster.sql('select count(*) from payroll where id = 77', 'orders'), '0')
  const later = await watched()
  await assert.rejects(later.db.query('select 1'), (error: { code?: string; message: string }) => {
    assert.equal(error.code, '42501')
    return /suspended/.test(error.message)
  })
  await later.db.end()
})
