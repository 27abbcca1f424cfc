/** The gateway killed under pgbench: what was said to be done is in the log, and the server is left alone. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { spawnGateway } from '../support/child-gateway.ts'
import { until } from '../support/until.ts'
import { type ConfigInput, createWorld } from '../support/world.ts'
import { missing, postgresPrograms, startCluster } from './postgres-cluster.ts'

const run = promisify(execFile)
const bin = await postgresPrograms()

test('P1, P2: killed under pgbench, no statement is without an intent and no intent without an end', {
  skip: bin === undefined ? missing : false,
}, async () => {
  await using cluster = await startCluster(bin!)
  await cluster.sql("create role app login superuser password 'upstream-secret-4711'")
  await cluster.sql('create database bench owner app')
  await run(join(cluster.bin, 'pgbench'), [
    '-h',
    '127.0.0.1',
    '-p',
    String(cluster.port),
    '-U',
    'postgres',
    '-i',
    '-q',
    'bench',
  ])
  await using world = await createWorld()
  const port = await freePort()
  await world.configure({
    listen: [{ address: '127.0.0.1:0' }, { address: `127.0.0.1:${port}`, connection: 'bench' }],
    connections: [
      {
        name: 'bench',
        protocol: 'postgres',
        host: '127.0.0.1',
        port: cluster.port,
        database: 'bench',
        user: 'app',
        tls: { mode: 'disable' },
        credential: { password: await world.secret('postgres', 'upstream-secret-4711') },
      },
    ],
    policy: { rules: [{ name: 'all', effect: 'allow', risks: ['read', 'write', 'delete'] }] },
  } as Partial<ConfigInput>)
  const token = await world.token('batch-agent')
  for (const mode of ['simple', 'prepared']) {
    const gateway = await spawnGateway(world)
    const env = { ...process.env, PGPASSWORD: token, PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: 'x' }
    const load = run(join(cluster.bin, 'pgbench'), ['-n', '-M', mode, '-c', '4', '-T', '30', 'bench'], {
      env,
    }).catch(() => undefined)
    await until(
      'it runs',
      async () => Number(await cluster.sql('select count(*) from pgbench_history', 'bench')) > 3,
    )
    await sleep(Math.random() * 200)
    await gateway.kill()
    await load
    await until(
      'the server has nobody left',
      async () => (await cluster.sql("select count(*) from pg_stat_activity where usename = 'app'")) === '0',
    )
  }
  await using again = await spawnGateway(world)
  const entries = await again.entries()
  const intents = entries.filter(each => each.kind === 'action.intended')
  const ends = entries.filter(each => /^action\.(?!intended)/.test(each.kind))
  assert.equal(new Set(ends.map(each => each.action)).size, ends.length)
  assert.deepEqual(new Set(ends.map(each => each.action)), new Set(intents.map(each => each.action)))
  // Each row that the server keeps was inserted by a statement whose intent is in the log (P1).
  const rows = Number(await cluster.sql('select count(*) from pgbench_history', 'bench'))
  const inserts = intents.filter(each => each.operation === 'INSERT').length
  assert.ok(inserts >= rows, `${rows} rows and ${inserts} intents`)
})

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
