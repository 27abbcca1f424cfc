/**
 * pgbench -S directly, through pgbouncer, and through the gateway with everything on (token, policy, masks, recording,
 * durable intent and outcome): `script/node bench/postgres.ts [--seconds 5] [--rounds 3] [--warm 10] [--clients 8]
 * [--keep]`. In one run, in turn, medians, each way warm; the proxy has one core for itself, pgbench and the server have
 * the other. Needs PostgreSQL, pgbouncer and taskset.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Cluster } from '../test/servers/postgres-cluster.ts'
import { createIssuer } from './support/gateway.ts'
import {
  database,
  type Login,
  pgbench,
  role,
  startPgbenchCluster,
  startPostgresGateway,
} from './support/pgbench.ts'
import { freePort, type Pinned, startPinned, whenListening } from './support/process.ts'
import { count, currentLoad, describeMachine, median, publish, table } from './support/report.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    warm: { type: 'string', default: '10' },
    clients: { type: 'string', default: '8' },
    keep: { type: 'boolean', default: false },
  },
})
const proxyCore = 0
const loadCore = Math.min(1, cpus().length - 1)

interface Contender {
  readonly name: string
  readonly login: Login
  readonly process?: Pinned
}

interface Figures {
  readonly tps: number
  readonly p50: number
  readonly p99: number
  readonly cpuUs: number | undefined
}

const busyAtStart = currentLoad()
const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'))
// Servers that drop root read their files here.
await chmod(directory, 0o755)
try {
  await compare()
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function compare(): Promise<void> {
  await using running = new AsyncDisposableStack()
  const cluster = running.use(await startPgbenchCluster())
  const contenders: Contender[] = [{ name: 'direct', login: { port: cluster.port, ...role } }]
  if (existsSync('/usr/sbin/pgbouncer')) contenders.push(await startBouncer(cluster, running))
  else console.error('pgbouncer is not installed: left out')
  const issuer = await createIssuer(directory)
  const of = { directory: join(directory, 'gateway'), core: proxyCore, issuer }
  const { gateway, login } = await startPostgresGateway(cluster, of)
  running.use(gateway)
  contenders.push({ name: 'gateway', login, process: gateway.process })
  const rows: string[][] = []
  for (const mode of ['simple', 'extended', 'prepared']) {
    const found = new Map<string, Figures[]>(contenders.map(each => [each.name, []]))
    for (const each of contenders) await measure(cluster, each, { mode, seconds: Number(values.warm) })
    for (let round = 0; round < Number(values.rounds); round++)
      for (const each of contenders)
        found.get(each.name)!.push(await measure(cluster, each, { mode, seconds: Number(values.seconds) }))
    for (const [name, figures] of found) rows.push([mode, name, ...cells(figures)])
  }
  const page = [
    '# PostgreSQL',
    '',
    `\`pgbench -S\`, ${values.clients} clients, ${values.seconds} s, medians of ${values.rounds} rounds in turn, each way warm for ${values.warm} s before. ${describeMachine(busyAtStart)}`,
    '',
    table(['mode', 'way', 'transactions/s', 'p50 ms', 'p99 ms', 'proxy CPU µs each'], rows),
    '',
    'Through the gateway each transaction is an intent and an outcome, both durable, and a recording; the other two keep nothing.',
  ].join('\n')
  publish('postgres', page, values.keep)
}

function cells(figures: readonly Figures[]): string[] {
  const middle = (of: (each: Figures) => number): number => median(figures.map(of))
  const cpu = figures.flatMap(each => each.cpuUs ?? [])
  return [
    count(middle(each => each.tps)),
    middle(each => each.p50).toFixed(2),
    middle(each => each.p99).toFixed(2),
    cpu.length === 0 ? '' : median(cpu).toFixed(0),
  ]
}

async function measure(
  cluster: Cluster,
  to: Contender,
  of: { readonly mode: string; readonly seconds: number },
): Promise<Figures> {
  const before = await to.process?.cpuMs()
  const clients = Number(values.clients)
  const { done, perSecond, latencies } = await pgbench(cluster, to.login, {
    ...of,
    clients,
    core: loadCore,
    directory,
  })
  const spent = to.process === undefined ? undefined : (await to.process.cpuMs()) - before!
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0
  const cpuUs = spent === undefined ? undefined : (spent * 1000) / done
  return { tps: perSecond, p50: at(0.5), p99: at(0.99), cpuUs }
}

async function startBouncer(cluster: Cluster, running: AsyncDisposableStack): Promise<Contender> {
  const port = await freePort()
  const home = join(directory, 'pgbouncer')
  await mkdir(home)
  const file = join(home, 'pgbouncer.ini')
  await writeFile(join(home, 'users.txt'), `"${role.user}" "${role.password}"\n`)
  await writeFile(
    file,
    `[databases]\n${database} = host=127.0.0.1 port=${cluster.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nauth_type = scram-sha-256\nauth_file = ${join(home, 'users.txt')}\npool_mode = session\nunix_socket_dir =\nlogfile = ${join(home, 'log')}\n`,
  )
  const uid = Number(execFileSync('id', ['-u', 'postgres'], { encoding: 'utf8' }))
  for (const each of [home, file, join(home, 'users.txt')]) await chown(each, uid, uid)
  const command = ['setpriv', `--reuid=${uid}`, '--clear-groups', '/usr/sbin/pgbouncer', file]
  const process = running.use(
    startPinned(command, { core: proxyCore, log: join(directory, 'pgbouncer.log') }),
  )
  await whenListening(port)
  return { name: 'pgbouncer', login: { port, ...role }, process }
}
