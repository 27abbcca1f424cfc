/** A gateway before a real PostgreSQL, with a database that has something to hide. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Entry } from '../../src/audit/events.ts'
import { testCertificate } from '../../src/protocols/test-certificate.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { type ConfigInput, createWorld, type World } from '../support/world.ts'
import { type Cluster, startCluster } from './postgres-cluster.ts'

export const upstreamPassword = 'upstream-secret-4711'

export interface Stage extends AsyncDisposable {
  readonly cluster: Cluster
  readonly world: World
  readonly gateway: TestGateway
  /** A token of the practice directory's agent. */
  readonly token: string
  /** How a driver reaches a connection (`orders`, `readonly`, ...), or the server itself. */
  to(connection: string): Reach
  readonly direct: Reach
  /** Entries of the kind, once there are `count`. */
  ended(count: number, is: (entry: Entry) => boolean): Promise<Entry[]>
}

export interface Reach {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** `sslmode` of PostgreSQL's own programs; default: as they do. */
  readonly sslmode?: string
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one of PostgreSQL's own programs (or any) against it. */
export function program(
  stage: Stage,
  name: string,
  of: { readonly reach: Reach; readonly args: readonly string[]; readonly input?: string },
): Promise<Ran> {
  const { reach, args, input = '' } = of
  return new Promise(resolve => {
    const child = execFile(
      join(stage.cluster.bin, name),
      [...args],
      {
        env: {
          ...process.env,
          PGHOST: reach.host,
          PGPORT: String(reach.port),
          PGUSER: reach.user,
          PGPASSWORD: reach.password,
          PGDATABASE: reach.database,
          PGCONNECT_TIMEOUT: '10',
          ...(reach.sslmode === undefined ? {} : { PGSSLMODE: reach.sslmode }),
        },
        maxBuffer: 64 * 1024 * 1024,
      },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    )
    child.stdin?.end(input)
  })
}

/** psql without its start-up file, stopping at nothing. */
export function psql(stage: Stage, reach: Reach, text: string): Promise<Ran> {
  return program(stage, 'psql', { reach, args: ['-X', '-At', '-v', 'VERBOSITY=verbose'], input: text })
}

type Rules = NonNullable<NonNullable<ConfigInput['policy']>['rules']>

/** Everything allowed but what a test denies; `masked` sees no column of customers that is personal. */
export const openRules: Rules = [
  { name: 'all', effect: 'allow', risks: ['read', 'write', 'delete', 'admin'] },
  { name: 'named', effect: 'allow', operations: ['DO', 'UNPARSEABLE', 'FETCH'], unknown: true },
  { name: 'tables-stay', effect: 'deny', operations: ['DROP TABLE'], message: 'Tables stay.' },
  {
    name: 'where',
    effect: 'deny',
    operations: ['DELETE', 'UPDATE'],
    when: '!request.where',
    message: 'Say which rows.',
  },
  { name: 'no-payroll', effect: 'deny', operations: ['*'], when: '"payroll" in request.tables' },
  {
    name: 'ask',
    effect: 'require_approval',
    operations: ['TRUNCATE'],
    approval: { approvers: ['group:security'] },
  },
  {
    name: 'upserts',
    effect: 'allow',
    connections: { names: ['plain'] },
    operations: ['UPDATE'],
    mask: ['people'],
  },
  {
    name: 'masks',
    effect: 'allow',
    connections: { names: ['masked'] },
    risks: ['read', 'write'],
    mask: ['people'],
  },
]

export async function openStage(bin: string, change: { readonly rules?: Rules } = {}): Promise<Stage> {
  const cluster = await startCluster(bin)
  await cluster.sql(`create role app login superuser password '${upstreamPassword}'`)
  await cluster.sql('create database orders owner app')
  await cluster.sql(
    `create table customers(id int primary key, email text, name text, phone bigint, notes jsonb);
     insert into customers select g, 'user' || g || '@example.com', 'Name ' || g, 4915100000000 + g, '{"email":"x@example.com","n":1}' from generate_series(1, 5) g;
     create table payroll(id int, salary int); insert into payroll values (1, 100);
     create function sneaky() returns int language sql as 'delete from payroll; select 1'`,
    'orders',
  )
  const world = await createWorld()
  const password = await world.secret('postgres', upstreamPassword)
  const connection = (name: string, more: object) => ({
    name,
    protocol: 'postgres',
    host: '127.0.0.1',
    port: cluster.port,
    database: 'orders',
    user: 'app',
    tls: { mode: 'require' },
    credential: { password },
    ...more,
  })
  const names = ['orders', 'readonly', 'masked', 'plain', 'tls']
  const tls = { certificate: join(world.directory, 'tls.crt'), key: join(world.directory, 'tls.key') }
  await writeFile(tls.certificate, testCertificate.cert)
  await writeFile(tls.key, testCertificate.key, { mode: 0o600 })
  await world.configure({
    listen: [
      { address: '127.0.0.1:0' },
      ...names.map(name => ({
        address: '127.0.0.1:0',
        connection: name,
        ...(name === 'tls' ? { tls } : {}),
      })),
      { address: '127.0.0.1:0', tls },
    ],
    connections: [
      connection('orders', {}),
      connection('readonly', { read_only: true }),
      connection('masked', {}),
      connection('plain', { tls: { mode: 'disable' } }),
      connection('tls', { require_tls: true }),
    ],
    masking: {
      profiles: { people: { detectors: ['email'], keys: ['customers.email', 'customers.name', 'phone'] } },
    },
    policy: { rules: change.rules ?? openRules },
  } as Partial<ConfigInput>)
  const gateway = await openGateway(world)
  const token = await world.token('triage-agent')
  const reach = (name: string): Reach => ({
    host: '127.0.0.1',
    port: Number(gateway.running.urls[names.indexOf(name) + 1]!.split(':').at(-1)),
    user: 'somebody',
    password: token,
    database: name,
  })
  return {
    cluster,
    world,
    gateway,
    token,
    to: reach,
    direct: {
      host: '127.0.0.1',
      port: cluster.port,
      user: 'app',
      password: upstreamPassword,
      database: 'orders',
    },
    ended: (count, is) => gateway.waitForEntries(count, is),
    async [Symbol.asyncDispose]() {
      await gateway.close()
      await world.close()
      await cluster.stop()
    },
  }
}
