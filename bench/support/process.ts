/** Processes under measurement: pinned to a core, watched for the CPU time they take, and ended with the bench. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Pinned extends AsyncDisposable {
  readonly child: ChildProcess
  /** CPU time taken so far by all its threads, milliseconds, in steps of the kernel's tick (10 ms). */
  cpuMs(): Promise<number>
  stop(): Promise<void>
}

let tickMs: number | undefined

/** Starts a program on one core alone; what it writes goes to `log`. */
export function startPinned(
  command: readonly string[],
  on: { readonly core: number; readonly log: string; readonly env?: Readonly<Record<string, string>> },
): Pinned {
  const out = openSync(on.log, 'a')
  const child = spawn('taskset', ['-c', String(on.core), ...command], {
    stdio: ['ignore', out, out],
    env: { ...process.env, ...on.env },
  })
  const pid = child.pid!
  const gone = once(child, 'exit')
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const killed = AbortSignal.timeout(20_000)
    killed.addEventListener('abort', () => child.kill('SIGKILL'))
    await gone
  }
  return { child, cpuMs: () => readCpu(pid), stop, [Symbol.asyncDispose]: stop }
}

async function readCpu(pid: number): Promise<number> {
  tickMs ??= 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name, in parentheses, may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * tickMs
}

/** Waits until a process does nothing: what it had behind (shipping, checkpoints) is done. */
export async function settle({ cpuMs }: Pinned, timeoutMs = 30_000): Promise<void> {
  const until = performance.now() + timeoutMs
  for (let before = await cpuMs(); performance.now() < until; ) {
    await sleep(500)
    const now = await cpuMs()
    if (now - before <= 20) return
    before = now
  }
}

/** Resolves when something listens. Throws when nothing does in time. */
export async function whenListening(port: number, timeoutMs = 60_000): Promise<void> {
  const until = performance.now() + timeoutMs
  while (!(await answers(port))) {
    if (performance.now() > until) throw new Error(`nothing listens on port ${port}`)
    await sleep(2)
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1' })
    const done = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => done(true)).once('error', () => done(false))
  })
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
