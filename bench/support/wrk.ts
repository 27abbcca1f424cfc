/** wrk, the load generator: closed loop, one thread, so many connections. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Load {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent with POST; absent: GET. */
  readonly body?: string
}

export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

const report = `
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"us":%d,"p50":%d,"p99":%d,"errors":%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`

/** Loads an address from one core. Throws when any answer was not 2xx or 3xx, or was cut. */
export async function load(
  { url, connections, seconds, headers = {}, body }: Load,
  on: { readonly core: number; readonly directory: string },
): Promise<LoadResult> {
  const script = join(on.directory, 'report.lua')
  const post = body === undefined ? '' : `wrk.method = 'POST'\nwrk.body = [==[${body}]==]\n`
  await writeFile(script, post + report)
  const given = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const wrk = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, ...given, url]
  const { stdout } = await run('taskset', ['-c', String(on.core), ...wrk])
  const line = /RESULT (\{.*\})/.exec(stdout)?.[1]
  if (line === undefined) throw new Error(`wrk said nothing to be understood: ${stdout}`)
  const result = JSON.parse(line) as Record<'requests' | 'us' | 'p50' | 'p99' | 'errors', number>
  if (result.errors > 0) throw new Error(`${result.errors} answers of ${url} were errors`)
  return {
    requests: result.requests,
    perSecond: (result.requests * 1e6) / result.us,
    p50: result.p50 / 1000,
    p99: result.p99 / 1000,
  }
}
