/**
 * PostgreSQL's own regression suite against a server and through a gateway that allows everything (see
 * script/postgres-regression, which brings the suite). Prints what passed and, of what did not, how the gateway's output
 * differs from the server's own.
 */
import { execFile, execFileSync } from 'node:child_process'
import { copyFile, cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openGateway } from '../support/gateway.ts'
import { type ConfigInput, createWorld } from '../support/world.ts'
import { type Cluster, missing, postgresPrograms, startCluster } from './postgres-cluster.ts'

export interface SuiteResult {
  readonly passed: readonly string[]
  /** Tests whose output is not what is expected, with that output. */
  readonly failed: ReadonlyMap<string, string>
  readonly seconds: number
  /** What pg_regress said. */
  readonly said: string
}

interface Way {
  readonly port: number
  readonly user: string
  readonly password: string
}

/** Tests of one schedule, or these alone (which then need `test_setup` before them). */
type Chosen = readonly string[] | undefined

/** Runs the suite by way of this port, in a fresh database `regression`. */
export async function runSuite(
  cluster: Cluster,
  suite: string,
  of: { readonly way: Way; readonly tests?: Chosen },
): Promise<SuiteResult> {
  const began = performance.now()
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-regress-'))
  try {
    await prepare(cluster)
    await cp(suite, directory, { recursive: true })
    for (const each of ['refint', 'autoinc'])
      await copyFile(join(cluster.bin, '../lib', `${each}.so`), join(directory, `${each}.so`))
    await mkdir(join(directory, 'results'), { recursive: true })
    // The server writes files there, and it does not run as root.
    if (userInfo().uid === 0) execFileSync('chown', ['-R', 'postgres', directory])
    const said = await pgRegress(cluster, directory, of)
    return { ...(await outcome(said, directory)), seconds: (performance.now() - began) / 1000, said }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** What pg_regress itself would do, were it let to. */
async function prepare(cluster: Cluster): Promise<void> {
  await cluster.sql('drop database if exists regression')
  await cluster.sql("create database regression template template0 lc_collate 'C' lc_ctype 'C'")
  const settings = [
    "lc_messages to 'C'",
    "lc_monetary to 'C'",
    "lc_numeric to 'C'",
    "lc_time to 'C'",
    'bytea_output to hex',
    "timezone_abbreviations to 'Default'",
  ]
  for (const each of settings) await cluster.sql(`alter database regression set ${each}`)
  const roles = await cluster.sql(
    "select string_agg(quote_ident(rolname), ',') from pg_roles where rolname like 'regress%'",
  )
  if (roles !== '') await cluster.sql(`drop role ${roles}`)
  await cluster.sql('drop tablespace if exists regress_tblspace')
}

function pgRegress(
  cluster: Cluster,
  directory: string,
  { way, tests }: { readonly way: Way; readonly tests?: Chosen },
): Promise<string> {
  const program = join(cluster.bin, '../lib/pgxs/src/test/regress/pg_regress')
  const what = tests ?? [`--schedule=${join(directory, 'parallel_schedule')}`]
  const args = [
    `--inputdir=${directory}`,
    `--outputdir=${directory}`,
    `--dlpath=${directory}`,
    `--bindir=${cluster.bin}`,
    '--max-concurrent-tests=20',
    '--use-existing',
    '--dbname=regression',
    '--host=127.0.0.1',
    `--port=${way.port}`,
    `--user=${way.user}`,
    ...what,
  ]
  const root = userInfo().uid === 0
  const [file, all] = root ? ['runuser', ['-u', 'postgres', '--', program, ...args]] : [program, args]
  return new Promise(resolve => {
    const child = execFile(
      file,
      all,
      {
        cwd: directory,
        env: { ...process.env, PGPASSWORD: way.password, HOME: directory },
        maxBuffer: 64 * 1024 * 1024,
      },
      (_error, stdout, stderr) => resolve(stdout + stderr),
    )
    child.stderr?.pipe(process.stderr)
    if (process.env['VERBOSE'] !== undefined) child.stdout?.pipe(process.stderr)
  })
}

async function outcome(
  said: string,
  directory: string,
): Promise<{ passed: string[]; failed: Map<string, string> }> {
  const passed: string[] = []
  const failed = new Map<string, string>()
  for (const line of said.split('\n')) {
    const found = /^(?:test |\s+|ok \d+\s+[-+] )(\S+)\s+(?:\.\.\. (ok|FAILED)|\d+ ms)/.exec(line)
    if (found === null) continue
    const [, name, word] = found
    if (word === 'FAILED')
      failed.set(name!, await readFile(join(directory, 'results', `${name}.out`), 'utf8').catch(() => ''))
    else passed.push(name!)
  }
  return { passed, failed }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      tests: { type: 'string' },
      direct: { type: 'boolean', default: false },
      gateway: { type: 'boolean', default: false },
    },
  })
  const bin = await postgresPrograms()
  if (bin === undefined || values.suite === undefined) throw new Error(missing)
  const tests = values.tests?.split(/\s+/)
  const both = values.direct === values.gateway
  const results = new Map<string, SuiteResult>()
  if (both || values.direct) {
    await using cluster = await startCluster(bin)
    const way = { port: cluster.port, user: 'postgres', password: 'x' }
    results.set('directly', await runSuite(cluster, values.suite, { way, ...(tests && { tests }) }))
  }
  if (both || values.gateway)
    results.set('through the gateway', await throughGateway(bin, values.suite, tests))
  for (const [name, { passed, failed, seconds, said }] of results) {
    const words = `${passed.length} of ${passed.length + failed.size} in ${seconds.toFixed(0)} s`
    console.log(`${name}: ${words}${failed.size === 0 ? '' : `; not ${[...failed.keys()].join(', ')}`}`)
    if (passed.length + failed.size === 0) console.log(said)
  }
  const own = results.get('directly')?.failed
  for (const [name, output] of results.get('through the gateway')?.failed ?? [])
    if (own?.get(name) !== output) await show(name, { output, direct: own?.get(name), suite: values.suite! })
}

/** Prints how a test's output differs from the server's own, or from what is expected. */
async function show(
  name: string,
  { output, direct, suite }: { output: string; direct: string | undefined; suite: string },
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-diff-'))
  const { writeFile } = await import('node:fs/promises')
  const [got, wanted] = [join(directory, 'got'), join(directory, 'wanted')]
  await writeFile(got, output)
  await writeFile(wanted, direct ?? (await readFile(join(suite, 'expected', `${name}.out`), 'utf8')))
  await new Promise<void>(resolve =>
    execFile('diff', ['-U3', wanted, got], { maxBuffer: 2 ** 26 }, (_error, stdout) => {
      console.log(`== ${name}\n${stdout}`)
      resolve()
    }),
  )
  await rm(directory, { recursive: true, force: true })
}

async function throughGateway(bin: string, suite: string, tests: Chosen): Promise<SuiteResult> {
  await using cluster = await startCluster(bin)
  await using world = await createWorld()
  await world.configure({
    listen: [{ address: '127.0.0.1:0' }, { address: '127.0.0.1:0', connection: 'regression' }],
    connections: [
      {
        name: 'regression',
        protocol: 'postgres',
        host: '127.0.0.1',
        port: cluster.port,
        database: 'regression',
        user: 'postgres',
        tls: { mode: 'disable' },
        credential: {},
      },
    ],
    policy: {
      rules: [
        { name: 'all', effect: 'allow', risks: ['read', 'write', 'delete', 'admin'] },
        { name: 'named', effect: 'allow', operations: ['DO', 'FETCH'], unknown: true },
      ],
    },
    sinks: [],
  } as Partial<ConfigInput>)
  await using gateway = await openGateway(world)
  const port = Number(gateway.running.urls[1]!.split(':').at(-1))
  const way = { port, user: 'postgres', password: await world.token('triage-agent') }
  return await runSuite(cluster, suite, { way, ...(tests && { tests }) })
}

if (import.meta.main) await main()
