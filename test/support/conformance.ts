/** The official conformance suite (`@modelcontextprotocol/conformance`), as a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../sources.ts'
import { allowAll, mcpStage } from './mcp-stage.ts'

const suite = join(root, 'node_modules/@modelcontextprotocol/conformance/dist/index.js')

/** Revisions whose frozen sets of requirements the suite knows. */
export const revisions = ['2025-11-25', '2026-07-28'] as const
export type Revision = (typeof revisions)[number]

export interface Check {
  readonly scenario: string
  readonly id: string
  /** `SUCCESS`, `FAILURE`, `WARNING`, `SKIPPED` or `INFO`. */
  readonly status: string
  readonly errorMessage?: string
}

export interface SuiteRun {
  readonly checks: readonly Check[]
  /** 0: nothing that is required failed. */
  readonly exitCode: number
  readonly output: string
}

/** Checks that may pass directly and not through the gateway, by how their names begin, and why. */
export const exceptions: Readonly<Record<string, string>> = {}

/** Why this check may be lost; undefined where it may not. */
export function exceptionFor(name: string): string | undefined {
  return Object.entries(exceptions).find(([start]) => name.startsWith(start))?.[1]
}

/** Everything that the path does to a call: rules with conditions, masks, pins, the record of each. */
const everythingOn = [
  ...allowAll.map(rule => ({ ...rule, mask: ['guarded'], record: 'full' as const })),
  {
    name: 'never-this',
    effect: 'deny' as const,
    operations: ['tools/call:*'],
    when: "has(request.arguments.path) && request.arguments.path.startsWith('/etc/')",
  },
]

/** Runs the suite through a gateway with everything on, in front of the server at this address. */
export async function runThrough(
  url: string,
  revision: Revision,
): Promise<{ readonly run: SuiteRun; readonly entries: number }> {
  // A picture can't be looked into, so a profile must say that it may pass.
  const masking = { profiles: { guarded: { detectors: ['secrets', 'personal'], binary: 'pass' as const } } }
  await using stage = await mcpStage(
    { servers: [{ name: 'main', url }] },
    { rules: everythingOn, config: { masking } },
  )
  await using front = await addHeader(stage.url, ['Authorization', `Bearer ${stage.token}`])
  const run = await runSuite('server', ['--url', front.url, '--requirements', revision])
  return { run, entries: (await stage.gateway.entries()).length }
}

/** Runs one leg of the suite with these arguments, and reads what it kept of each check. */
export async function runSuite(
  leg: 'server' | 'client' | 'list',
  args: readonly string[],
): Promise<SuiteRun> {
  const kept = await mkdtemp(join(tmpdir(), 'sallyport-conformance-'))
  try {
    const keep = leg === 'list' ? [] : ['--output-dir', kept]
    const child = spawn(process.execPath, [suite, leg, ...args, ...keep], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    const [code] = (await once(child, 'close')) as [number | null]
    return { checks: await readChecks(kept, leg), exitCode: code ?? 1, output }
  } finally {
    await rm(kept, { recursive: true, force: true })
  }
}

async function readChecks(directory: string, leg: string): Promise<Check[]> {
  const found = await readdir(directory, { recursive: true })
  const files = found.filter(file => file.endsWith('checks.json')).toSorted()
  const lists = await Promise.all(
    files.map(async file => {
      // `server-tools-list-2026-11-28T02-21-23-004Z/checks.json`
      const scenario = file.replace(/-\d{4}-\d\d-\d\dT[^/]*\/checks\.json$/, '').replace(`${leg}-`, '')
      const checks = JSON.parse(await readFile(join(directory, file), 'utf8')) as Omit<Check, 'scenario'>[]
      return checks.map(check => ({ ...check, scenario }))
    }),
  )
  return lists.flat()
}

/**
 * What passes in the first run and not (or not as often) in the second, by name, with what it was there in place of a
 * pass: a failure, a warning, a word of information, or nothing at all.
 */
export function lost(direct: readonly Check[], through: readonly Check[]): Map<string, string> {
  const after = Map.groupBy(through, nameOf)
  const differences = new Map<string, string>()
  for (const [name, checks] of Map.groupBy(direct, nameOf)) {
    const wanted = passes(checks)
    const found = after.get(name) ?? []
    const worse = found.filter(each => each.status !== 'SUCCESS')
    if (passes(found) >= wanted) continue
    const [instead] = worse
    const why = instead?.errorMessage === undefined ? '' : `: ${instead.errorMessage}`
    differences.set(name, `${instead?.status ?? 'not made'}${why}`)
  }
  return differences
}

/** How many passed. */
export function passes(checks: readonly Check[]): number {
  return checks.filter(each => each.status === 'SUCCESS').length
}

/** Each check that failed, with its reason. */
export function failing(checks: readonly Check[]): string[] {
  return checks
    .filter(each => each.status === 'FAILURE')
    .map(each => `${nameOf(each)}: ${each.errorMessage ?? ''}`)
}

function nameOf({ scenario, id }: Check): string {
  return `${scenario}: ${id}`
}

/**
 * An address at which every request gets this header line, and nothing else changes: the suite can't be told to send a
 * credential.
 */
export async function addHeader(
  to: string,
  [name, value]: readonly [string, string],
): Promise<AsyncDisposable & { readonly url: string }> {
  const { hostname, port, pathname } = new URL(to)
  const server = createServer((request, response) => {
    const onward = send(
      {
        hostname,
        port,
        path: request.url,
        method: request.method,
        headers: [...request.rawHeaders, name, value],
        agent: false,
      },
      answer => {
        response.writeHead(answer.statusCode!, answer.rawHeaders)
        response.flushHeaders()
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
