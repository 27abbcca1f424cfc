/**
 * pgbench -S directly, through pgbouncer, and through the gateway with everything on (token, policy, masks, recording,
 * durable intent and outcome): `script/node bench/postgres.ts [--seconds 5] [--rounds 3] [--clients 8] [--keep]`.
 * In one run, in turn, medians; the proxy has one core for itself, pgbench and the server have the other. Needs
 * PostgreSQL, pgbouncer and taskset.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { stringify } from 'yaml'
import { type Cluster, missing, postgresPrograms, startCluster } from '../test/servers/postgres-cluster.ts'
import { audience, createIssuer, issuer } from './support/gateway.ts'
import { freePort, type Pinned, startPinned, whenListening } from './support/process.ts'
import { count, currentLoad, describeMachine, median, publish, table } from './support/report.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    clients: { type: 'string', default: '8' },
    keep: { type: 'boolean', default: false },
  },
})
const run = promisify(execFile)
const password = 'bench-password-of-the-upstream'
const proxyCore = 0
const loadCore = Math.min(1, cpus().length - 1)

interface Contender {
  readonly name: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly process?: Pinned
}

interface Figures {
  readonly tps: number
  readonly p50: number
  readonly p99: number
  readonly cpuUs: number | undefined
}

const bin = await postgresPrograms()
if (bin === undefined) throw new Error(missing)
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
  const cluster = running.use(await startCluster(bin!))
  await cluster.sql(`create role app login password '${password}'`)
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
    '-s',
    '5',
    'bench',
  ])
  await cluster.sql('grant all on all tables in schema public to app', 'bench')
  const direct = { port: cluster.port, user: 'app', password, database: 'bench' }
  const contenders: Contender[] = [{ name: 'direct', ...direct }]
  if (existsSync('/usr/sbin/pgbouncer')) contenders.push(await startBouncer(cluster, running))
  else console.error('pgbouncer is not installed: left out')
  contenders.push(await startGateway(cluster, running))
  const rows: string[][] = []
  for (const mode of ['simple', 'extended', 'prepared']) {
    const found = new Map<string, Figures[]>(contenders.map(each => [each.name, []]))
    for (let round = 0; round < Number(values.rounds); round++)
      for (const each of contenders) found.get(each.name)!.push(await measure(cluster, each, mode))
    for (const [name, figures] of found) rows.push([mode, name, ...cells(figures)])
  }
  const page = [
    '# PostgreSQL',
    '',
    `\`pgbench -S\`, ${values.clients} clients, ${values.seconds} s, medians of ${values.rounds} rounds in turn. ${describeMachine(busyAtStart)}`,
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

async function measure(cluster: Cluster, to: Contender, mode: string): Promise<Figures> {
  const log = await mkdtemp(join(directory, 'log-'))
  const before = await to.process?.cpuMs()
  const args = [
    '-S',
    '-n',
    '-M',
    mode,
    '-c',
    values.clients,
    '-T',
    values.seconds,
    '-l',
    '--log-prefix',
    join(log, 'x'),
  ]
  const { stdout } = await run(
    'taskset',
    ['-c', String(loadCore), join(cluster.bin, 'pgbench'), ...args, to.database],
    {
      env: {
        ...process.env,
        PGHOST: '127.0.0.1',
        PGPORT: String(to.port),
        PGUSER: to.user,
        PGPASSWORD: to.password,
      },
    },
  )
  const spent = to.process === undefined ? undefined : (await to.process.cpuMs()) - before!
  const done = Number(/actually processed: (\d+)/.exec(stdout)![1])
  const lines = execFileSync('sh', ['-c', `cat ${log}/*`], { encoding: 'utf8', maxBuffer: 2 ** 30 })
    .trim()
    .split('\n')
  const latencies = lines.map(line => Number(line.split(' ')[2]) / 1000).toSorted((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0
  const tps = Number(/tps = ([\d.]+)/.exec(stdout)![1])
  return { tps, p50: at(0.5), p99: at(0.99), cpuUs: spent === undefined ? undefined : (spent * 1000) / done }
}

async function startBouncer(cluster: Cluster, running: AsyncDisposableStack): Promise<Contender> {
  const port = await freePort()
  const home = join(directory, 'pgbouncer')
  await mkdir(home)
  const file = join(home, 'pgbouncer.ini')
  await writeFile(join(home, 'users.txt'), `"app" "${password}"\n`)
  await writeFile(
    file,
    `[databases]\nbench = host=127.0.0.1 port=${cluster.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nauth_type = scram-sha-256\nauth_file = ${join(home, 'users.txt')}\npool_mode = session\nunix_socket_dir =\nlogfile = ${join(home, 'log')}\n`,
  )
  const uid = Number(execFileSync('id', ['-u', 'postgres'], { encoding: 'utf8' }))
  for (const each of [home, file, join(home, 'users.txt')]) await chown(each, uid, uid)
  const command = ['setpriv', `--reuid=${uid}`, '--clear-groups', '/usr/sbin/pgbouncer', file]
  const process = running.use(
    startPinned(command, { core: proxyCore, log: join(directory, 'pgbouncer.log') }),
  )
  await whenListening(port)
  return { name: 'pgbouncer', port, user: 'app', password, database: 'bench', process }
}

async function startGateway(cluster: Cluster, running: AsyncDisposableStack): Promise<Contender> {
  const keys = await createIssuer(directory)
  const [port, api] = [await freePort(), await freePort()]
  const file = join(directory, 'sallyport.yaml')
  const log = join(directory, 'sallyport.log')
  const config = {
    data: join(directory, 'data'),
    origin: 'gateway.example.com/bench',
    listen: [{ address: `127.0.0.1:${api}` }, { address: `127.0.0.1:${port}`, connection: 'bench' }],
    storage: { watermarks: { warn_percent: 0, refuse_sessions_percent: 0, refuse_percent: 0 } },
    identity: {
      issuers: [{ name: 'bench', issuer, audience, jwks_file: keys.jwksFile, algorithms: ['RS256'] }],
    },
    connections: [
      {
        name: 'bench',
        protocol: 'postgres',
        host: '127.0.0.1',
        port: cluster.port,
        database: 'bench',
        user: 'app',
        tls: { mode: 'disable' },
        credential: { password: '${env:BENCH_PASSWORD}' },
      },
    ],
    policy: { rules: [{ name: 'reads', effect: 'allow', risks: ['read'], mask: ['secrets', 'personal'] }] },
  }
  await writeFile(file, stringify(config))
  const command = [join(import.meta.dirname, '../script/sallyport'), 'serve', '--config', file]
  const process = running.use(
    startPinned(command, { core: proxyCore, log, env: { BENCH_PASSWORD: password } }),
  )
  try {
    await whenListening(port)
  } catch (cause) {
    throw new Error(`the gateway did not start: ${await readFile(log, 'utf8')}`, { cause })
  }
  return {
    name: 'gateway',
    port,
    user: 'x',
    password: await keys.token('agent-7'),
    database: 'bench',
    process,
  }
}
