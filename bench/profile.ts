/**
 * Where the CPU of a request goes: `script/node bench/profile.ts [--mcp | --postgres [--mode simple] [--sql TEXT]]
 * [--seconds 6] [--rounds 1] [--warm 10] [--connections 32] [--sample [--profiles DIRECTORY]] [--top 40]`. The gateway of
 * `bench/http.ts`, with `--mcp` that of `bench/mcp.ts` and with `--postgres` that of `bench/postgres.ts`, under load: the
 * CPU time of each of its threads per request (of the cheapest round: what else the machine does only adds) and, with
 * `--sample`, Node's own profiler: the time by the function of ours that is nearest to the sample, what it calls in Node
 * and in libraries included; the profiles are kept where `--profiles` says. The profiler counts the clock, so on a busy
 * machine what wakes another thread looks dear; and it slows down what it watches.
 */
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type BenchGateway, createIssuer, type Issuer, startBenchGateway } from './support/gateway.ts'
import { pgbench, startPgbenchCluster, startPostgresGateway } from './support/pgbench.ts'
import { startUpstream } from './support/rivals.ts'
import { always, modern, startToolServer, toolsConfig } from './support/tool-calls.ts'
import { load } from './support/wrk.ts'

const { values } = parseArgs({
  options: {
    mcp: { type: 'boolean', default: false },
    postgres: { type: 'boolean', default: false },
    mode: { type: 'string', default: 'simple' },
    sql: { type: 'string' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '1' },
    warm: { type: 'string', default: '10' },
    connections: { type: 'string', default: '32' },
    sample: { type: 'boolean', default: false },
    profiles: { type: 'string' },
    top: { type: 'string', default: '40' },
  },
})
const seconds = Number(values.seconds)

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
    readonly children?: readonly number[]
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** For each sample, the nearest frame of this project (else of a library, else Node's): the last `seconds` of it. */
function printProfile(profile: Profile): void {
  const frames = new Map(profile.nodes.map(node => [node.id, node.callFrame]))
  const parents = new Map(profile.nodes.flatMap(node => (node.children ?? []).map(child => [child, node.id])))
  const nameOf = (id: number): string => {
    const { functionName, url, lineNumber } = frames.get(id)!
    return `${functionName || '(anonymous)'} ${url.replace(/^.*\/(?:src|node_modules)\//, '')}:${lineNumber + 1}`
  }
  const nearest = (id: number, holds: string): string | undefined => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at))
      if (frames.get(at)!.url.includes(holds)) return nameOf(at)
    return undefined
  }
  const total = profile.timeDeltas.reduce((sum, each) => sum + each, 0)
  const spent = new Map<string, number>()
  let at = 0
  let busy = 0
  profile.samples.forEach((id, i) => {
    const took = profile.timeDeltas[i]!
    at += took
    if (at < total - seconds * 1e6 || frames.get(id)!.functionName === '(idle)') return
    busy += took
    const name = nearest(id, '/src/') ?? nearest(id, 'node_modules') ?? nameOf(id)
    spent.set(name, (spent.get(name) ?? 0) + took)
  })
  console.log(`\na thread, busy ${((busy * 100) / (seconds * 1e6)).toFixed(0)} % of the time`)
  for (const [name, took] of [...spent].toSorted((a, b) => b[1] - a[1]).slice(0, Number(values.top)))
    console.log(`${((took * 100) / busy).toFixed(1).padStart(6)} %  ${name}`)
}

/** CPU time of each thread so far, microseconds, by `id name`. */
async function threadsOf(pid: number): Promise<Map<string, number>> {
  const threads = new Map<string, number>()
  for (const id of await readdir(`/proc/${pid}/task`)) {
    const [nanoseconds] = (await readFile(`/proc/${pid}/task/${id}/schedstat`, 'utf8')).split(' ')
    const name = await readFile(`/proc/${pid}/task/${id}/comm`, 'utf8')
    threads.set(`${id} ${name.trim()}`, Number(nanoseconds) / 1000)
  }
  return threads
}

interface Done {
  readonly requests: number
  readonly perSecond: number
}

interface Spent {
  /** Microseconds of CPU per request, by thread. */
  readonly threads: readonly (readonly [name: string, us: number])[]
  readonly all: number
  readonly perSecond: number
}

function spentBetween(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  { requests, perSecond }: Done,
): Spent {
  const threads = [...after].map(([name, us]) => [name, (us - (before.get(name) ?? 0)) / requests] as const)
  return { threads, all: threads.reduce((sum, [, us]) => sum + us, 0), perSecond }
}

function printThreads({ threads, all, perSecond }: Spent): void {
  console.log('CPU per request by thread, microseconds')
  for (const [name, us] of threads.toSorted((a, b) => b[1] - a[1]))
    if (us >= 1) console.log(`${us.toFixed(1).padStart(8)}  ${name}`)
  console.log(`${all.toFixed(1).padStart(8)}  all`)
  console.log(`${Math.round(perSecond)} requests/s`)
}

interface Stage {
  readonly gateway: BenchGateway
  load(seconds: number): Promise<Done>
}

interface Needs {
  readonly directory: string
  readonly issuer: Issuer
  readonly running: AsyncDisposableStack
  /** Arguments for Node. */
  readonly node: readonly string[]
}

const connections = Number(values.connections)

async function httpStage({ directory, issuer, running, node }: Needs): Promise<Stage> {
  const auth = { Authorization: `Bearer ${await issuer.token('agent-7')}` }
  const start = values.mcp ? startToolServer : startUpstream
  const upstream = running.use(await start(directory, 1))
  const gateway = running.use(
    await startBenchGateway({
      core: 0,
      jwksFile: issuer.jwksFile,
      upstream: upstream.port,
      directory: join(directory, 'gateway'),
      ...(values.mcp ? { change: toolsConfig(upstream.port) } : {}),
      node,
    }),
  )
  const target = values.mcp
    ? { url: `${gateway.url}/c/tools`, ...modern, headers: { ...auth, ...always, ...modern.headers } }
    : { url: `${gateway.url}/c/datadog/api/v1/monitor`, headers: auth }
  return {
    gateway,
    load: seconds => load({ ...target, connections, seconds }, { core: 1, directory }),
  }
}

async function postgresStage({ directory, issuer, running, node }: Needs): Promise<Stage> {
  const cluster = running.use(await startPgbenchCluster())
  const of = { core: 0, issuer, directory: join(directory, 'gateway'), node }
  const { gateway, login } = await startPostgresGateway(cluster, of)
  running.use(gateway)
  const { mode, sql } = values
  return {
    gateway,
    async load(seconds) {
      const work = { mode, seconds, clients: connections, core: 1, directory }
      const { done, perSecond } = await pgbench(cluster, login, {
        ...work,
        ...(sql === undefined ? {} : { sql }),
      })
      return { requests: done, perSecond }
    },
  }
}

const directory = await mkdtemp(join(tmpdir(), 'sallyport-profile-'))
// Servers that drop root read their files here.
await chmod(directory, 0o755)
const profiles = values.profiles ?? join(directory, 'profiles')
try {
  await using running = new AsyncDisposableStack()
  const issuer = await createIssuer(directory)
  const node = values.sample ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []
  const stage = await (values.postgres ? postgresStage : httpStage)({ directory, issuer, running, node })
  const { process } = stage.gateway
  await stage.load(Number(values.warm))
  const pid = process.child.pid!
  const spent: Spent[] = []
  for (let round = 0; round < Number(values.rounds); round++) {
    const before = await threadsOf(pid)
    const result = await stage.load(seconds)
    spent.push(spentBetween(before, await threadsOf(pid), result))
  }
  printThreads(spent.toSorted((a, b) => a.all - b.all)[0]!)
  await process.stop()
  if (values.sample)
    for (const file of await readdir(profiles))
      printProfile(JSON.parse(await readFile(join(profiles, file), 'utf8')) as Profile)
} finally {
  await rm(directory, { recursive: true, force: true })
}
