/** What the benches of PostgreSQL stand on: a server with pgbench's tables, the gateway before it, and pgbench. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Cluster, missing, postgresPrograms, startCluster } from '../../test/servers/postgres-cluster.ts'
import { type BenchGateway, credentialOfUpstream, type Issuer, startBenchGateway } from './gateway.ts'
import { freePort } from './process.ts'

const run = promisify(execFile)

/** Who logs in where, for pgbench. */
export interface Login {
  readonly port: number
  readonly user: string
  readonly password: string
}

export const database = 'bench'
/** The role on the server itself. */
export const role = { user: 'app', password: credentialOfUpstream }

/** A server with pgbench's tables of scale 5, readable for the role. Throws where PostgreSQL is not installed. */
export async function startPgbenchCluster(): Promise<Cluster> {
  const bin = await postgresPrograms()
  if (bin === undefined) throw new Error(missing)
  const cluster = await startCluster(bin)
  await cluster.sql(`create role ${role.user} login password '${role.password}'`)
  await cluster.sql(`create database ${database} owner ${role.user}`)
  const at = ['-h', '127.0.0.1', '-p', String(cluster.port), '-U', 'postgres']
  await run(join(bin, 'pgbench'), [...at, '-i', '-q', '-s', '5', database])
  await cluster.sql(`grant all on all tables in schema public to ${role.user}`, database)
  return cluster
}

/** The gateway before it, with one rule that masks. Its log in is the token. */
export async function startPostgresGateway(
  cluster: Cluster,
  of: {
    readonly directory: string
    readonly core: number
    readonly issuer: Issuer
    /** More arguments for Node. */
    readonly node?: readonly string[]
  },
): Promise<{ readonly login: Login; readonly gateway: BenchGateway }> {
  const port = await freePort()
  const gateway = await startBenchGateway({
    ...of,
    jwksFile: of.issuer.jwksFile,
    listen: [{ address: `127.0.0.1:${port}`, connection: database }],
    change: {
      connections: [
        {
          name: database,
          protocol: 'postgres',
          host: '127.0.0.1',
          port: cluster.port,
          database,
          user: role.user,
          tls: { mode: 'disable' },
          credential: { password: '${env:BENCH_API_KEY}' },
        },
      ],
      policy: {
        rules: [{ name: 'reads', effect: 'allow', risks: ['read'], mask: ['secrets', 'personal'] }],
      },
    },
  })
  return { login: { port, user: 'x', password: await of.issuer.token('agent-7') }, gateway }
}

export interface PgbenchRun {
  /** `simple`, `extended`, `prepared`. */
  readonly mode: string
  readonly clients: number
  readonly seconds: number
  readonly core: number
  readonly directory: string
  /** What a transaction is; absent: pgbench's own SELECT of one row. */
  readonly sql?: string
}

/** Runs pgbench. `latencies`: milliseconds, sorted. Throws where a client broke off. */
export async function pgbench(
  cluster: Cluster,
  to: Login,
  of: PgbenchRun,
): Promise<{ readonly done: number; readonly perSecond: number; readonly latencies: readonly number[] }> {
  const log = await mkdtemp(join(of.directory, 'pgbench-'))
  const script = join(log, 'script.sql')
  if (of.sql !== undefined) await writeFile(script, `${of.sql}\n`)
  const work = of.sql === undefined ? ['-S'] : ['-f', script]
  const amount = ['-M', of.mode, '-c', String(of.clients), '-T', String(of.seconds)]
  const args = [...work, '-n', ...amount, '-l', '--log-prefix', join(log, 'x'), database]
  const { stdout } = await run('taskset', ['-c', String(of.core), join(cluster.bin, 'pgbench'), ...args], {
    env: {
      ...process.env,
      PGHOST: '127.0.0.1',
      PGPORT: String(to.port),
      PGUSER: to.user,
      PGPASSWORD: to.password,
    },
  })
  const figure = (pattern: RegExp): number => Number(pattern.exec(stdout)![1])
  const lines = execFileSync('sh', ['-c', `cat ${log}/x*`], { encoding: 'utf8', maxBuffer: 2 ** 30 })
    .trim()
    .split('\n')
  return {
    done: figure(/actually processed: (\d+)/),
    perSecond: figure(/tps = ([\d.]+)/),
    latencies: lines.map(line => Number(line.split(' ')[2]) / 1000).toSorted((a, b) => a - b),
  }
}
