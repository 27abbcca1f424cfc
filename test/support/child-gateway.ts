import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Entry } from '../../src/audit/events.ts'
import { root } from '../sources.ts'
import { LocalApi } from './local-api.ts'
import type { World } from './world.ts'

const main = join(root, 'src/cli/main.ts')

/** A gateway in a process of its own, as `sallyport serve` runs it. */
export interface ChildGateway extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  readonly api: LocalApi
  /** Everything that it wrote to standard output and standard error. */
  readonly output: () => string
  entries(): Promise<Entry[]>
  signal(name: NodeJS.Signals): void
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
  /** SIGKILL, and until it is gone. */
  kill(): Promise<void>
  /** SIGTERM, and until it has closed in good order. Gives the exit code. */
  stop(): Promise<number | string>
}

/** Starts `sallyport serve` and resolves once it listens; rejects with what it said when it ends before that. */
export async function spawnGateway(world: World): Promise<ChildGateway> {
  const child = serve(world)
  const said: string[] = []
  const ended = endOf(child)
  const url = await listening(child, said, ended)
  const api = new LocalApi(world.data)
  const end = async (signal: NodeJS.Signals): Promise<number | string> => {
    child.kill(signal)
    const code = await ended
    await api.close()
    return code
  }
  const gateway: ChildGateway = {
    url,
    pid: child.pid!,
    api,
    output: () => said.join('\n'),
    entries: () => api.entries(),
    signal: name => void child.kill(name),
    ended,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
    [Symbol.asyncDispose]: () => gateway.kill(),
  }
  return gateway
}

/** Starts it and kills it after so many milliseconds, wherever in its start that is. */
export async function killWhileStarting(world: World, ms: number): Promise<void> {
  const child = serve(world)
  const ended = endOf(child)
  child.stdout!.resume()
  child.stderr!.resume()
  await sleep(ms)
  child.kill('SIGKILL')
  await ended
}

function serve(world: World): ChildProcess {
  return spawn(process.execPath, [main, 'serve', '--config', world.configFile], {
    cwd: world.directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function endOf(child: ChildProcess): Promise<number | string> {
  return once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
}

function listening(child: ChildProcess, said: string[], ended: Promise<number | string>): Promise<string> {
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', line => {
        said.push(line)
        const url = /"event":"listening","urls":\["([^"]+)"/.exec(line)?.[1]
        if (url !== undefined) resolve(url)
      })
    }
    void ended.then(code => reject(new Error(`the gateway ended with ${code}:\n${said.join('\n')}`)))
  })
}
