/** A gateway whose console has something to show: agents on Datadog and on a database, approvals, denials, masks. */
import pg from 'pg'
import { runSampleAgent } from '../../practice/agent/agent.ts'
import { practiceIssuerSection } from '../../practice/identity-provider/issuer-section.ts'
import { approver } from '../support/approver.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { type ConfigInput, createWorld, type World } from '../support/world.ts'
import { type Cluster, startCluster } from './postgres-cluster.ts'

const upstreamPassword = 'upstream-secret-4711'

export interface ConsoleStage extends AsyncDisposable {
  readonly world: World
  readonly gateway: TestGateway
  /** The sample agent's whole round. Its change of a monitor waits for an approval until somebody votes. */
  runAgent(): Promise<void>
  /** Statements of an agent on the database, one after the other; what each one's end was is in the log. */
  query(statements: readonly string[]): Promise<void>
  /** This many reads of another agent. */
  runReads(count: number): Promise<void>
  /** Votes on the next approval that waits, as Bo of the platform team. */
  decideNext(effect: 'approve' | 'deny'): Promise<void>
  /** A pending approval of a monitor's change; `done` resolves with the status of the held call. */
  askForChange(critical: number): Promise<{ readonly id: string; readonly done: Promise<number> }>
}

const rules: NonNullable<NonNullable<ConfigInput['policy']>['rules']> = [
  {
    name: 'agents-read',
    description: 'Agents may read. Personal data is masked; so are secrets, always',
    effect: 'allow',
    subjects: { kinds: ['agent'] },
    risks: ['read'],
    mask: ['personal'],
  },
  {
    name: 'monitors-need-a-person',
    description: 'A monitor changes only after somebody of the platform team has seen the change',
    effect: 'require_approval',
    subjects: { kinds: ['agent'] },
    operations: ['v1.updateMonitor', 'v1.createMonitor'],
    approval: { approvers: ['group:platform'], expires: '10m', message: 'Monitors page people at night.' },
  },
  {
    name: 'nothing-is-deleted',
    description: 'Deleting is for people',
    effect: 'deny',
    risks: ['delete'],
    message: 'Agents delete nothing here. Ask the platform team.',
  },
]

async function configure(world: World, cluster: Cluster, more: Partial<ConfigInput>): Promise<void> {
  const { issuer } = world.identityProvider
  const [datadog] = world.config.connections!
  const orders = {
    name: 'orders',
    protocol: 'postgres',
    sensitivity: 'critical',
    labels: { env: 'prod' },
    host: '127.0.0.1',
    port: cluster.port,
    database: 'orders',
    user: 'app',
    tls: { mode: 'require' },
    credential: { password: await world.secret('postgres', upstreamPassword) },
  }
  await world.configure({
    listen: [{ address: '127.0.0.1:0' }, { address: '127.0.0.1:0', connection: 'orders' }],
    identity: { issuers: [practiceIssuerSection(issuer)] },
    roles: {
      admin: ['group:platform'],
      auditor: ['group:security', 'group:platform'],
      approver: ['group:security'],
    },
    sign_in: {
      issuer,
      client_id: 'sallyport-cli',
      providers: [
        {
          id: 'practice',
          kind: 'oidc',
          label: 'Practice',
          issuer: 'practice',
          client_id: 'sallyport-console',
        },
      ],
    },
    connections: [{ ...datadog!, name: 'datadog-prod', labels: { env: 'prod' } }, orders],
    policy: { rules },
    ...more,
  } as Partial<ConfigInput>)
}

async function fill(cluster: Cluster): Promise<void> {
  await cluster.sql(`create role app login superuser password '${upstreamPassword}'`)
  await cluster.sql('create database orders owner app')
  await cluster.sql(
    `create table customers(id int primary key, name text, email text, city text, notes jsonb);
     insert into customers select g, 'Customer ' || g, 'customer' || g || '@example.com',
       (array['Lisbon','Oslo','Turin'])[1 + g % 3], case when g % 4 = 0 then null else '{"vip": true}'::jsonb end
       from generate_series(1, 12) g;
     create table orders(id int primary key, customer int, total numeric, placed timestamptz);
     insert into orders select g, 1 + g % 12, g * 3.5, '2026-11-01'::timestamptz + g * interval '1 hour'
       from generate_series(1, 40) g`,
    'orders',
  )
}

/** `bin`: the directory of PostgreSQL's programs. `more`: sections of the configuration beside the stage's own. */
export async function openConsoleStage(bin: string, more: Partial<ConfigInput> = {}): Promise<ConsoleStage> {
  await using undo = new AsyncDisposableStack()
  const cluster = await startCluster(bin)
  undo.defer(() => cluster.stop())
  await fill(cluster)
  const world = await createWorld()
  undo.defer(() => world.close())
  await configure(world, cluster, more)
  const gateway = await openGateway(world)
  undo.defer(() => gateway.close())
  const token = await world.token('triage-agent')
  const base = `${gateway.url}/c/datadog-prod`
  const all = undo.move()
  return {
    world,
    gateway,
    runAgent: async () => void (await runSampleAgent({ baseUrl: base, token })),
    async query(statements) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: Number(gateway.running.urls[1]!.split(':').at(-1)),
        user: 'agent',
        password: token,
        database: 'orders',
        application_name: 'report-writer',
      })
      client.on('error', () => undefined)
      await client.connect()
      for (const statement of statements) await client.query(statement).catch(() => undefined)
      await client.end()
    },
    async runReads(count) {
      const headers = { authorization: `Bearer ${await world.token('batch-agent')}` }
      for (let i = 0; i < count; i++) await (await fetch(`${base}/api/v1/monitor`, { headers })).arrayBuffer()
    },
    async decideNext(effect) {
      const bo = approver(gateway.url, await world.token('bo'))
      const [next] = await bo.pending()
      await bo.vote(next!.id, effect)
    },
    async askForChange(critical) {
      const before = new Set((await pendingApprovals(gateway)).map(({ id }) => id))
      const done = changeMonitor(base, token, critical)
      const found = await until('the approval', async () =>
        (await pendingApprovals(gateway)).find(({ id }) => !before.has(id)),
      )
      return { id: found.id, done }
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

async function pendingApprovals({ running }: TestGateway): Promise<readonly { readonly id: string }[]> {
  const found = await running.services.approvals.list({ open: true, limit: 100 })
  return found.filter(({ state }) => state === 'pending')
}

async function changeMonitor(base: string, token: string, critical: number): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const monitors = (await (await fetch(`${base}/api/v1/monitor`, { headers })).json()) as {
    readonly id: number
    readonly query: string
  }[]
  const first = monitors.find(({ query }) => /> \d+$/.test(query))!
  const body = {
    query: first.query.replace(/\d+$/, String(critical)),
    options: { thresholds: { critical } },
  }
  const response = await fetch(`${base}/api/v1/monitor/${first.id}`, {
    method: 'PUT',
    headers,
    body: JSON.stringify(body),
  })
  await response.arrayBuffer()
  return response.status
}
