/**
 * One process that speaks MCP over its standard input and output (basic/transports, "stdio"): one JSON-RPC message a
 * line. It leads a process group of its own, sees none of the gateway's environment, and ends with its group.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { GatewayError } from '../../errors.ts'
import { readMessage, writeMessage } from './codec.ts'
import type { RpcMessage } from './rpc.ts'

export interface ProcessPlan {
  readonly command: string
  readonly args: readonly string[]
  /** All of it: what is not named here the process does not see, but for `inherited`. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
  /** Bytes of private memory of each process of the group, by the kernel (RLIMIT_DATA); undefined for no limit. */
  readonly memory: number | undefined
  /** Seconds of processor time of each process of the group (RLIMIT_CPU); undefined for no limit. */
  readonly cpuSeconds: number | undefined
  /** Bytes of one message, in either direction. */
  readonly maxMessage: number
}

export interface ProcessEars {
  onMessage(message: RpcMessage): void
  /** A line of standard error, not masked. Lines over 4096 bytes, and beyond 100 in 10 seconds, are left out. */
  onStderr(line: string): void
  /** Called once; nothing is called after it. */
  onEnd(why: string): void
}

/** Names that a program may need to run at all, and that hold no secret. */
const inherited = ['PATH', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR']
/** Lines that are no message: a banner or a stray print is let by, a program that speaks otherwise is ended. */
const mostGarbage = 100
const longestErrorLine = 4096
const errorLines = { most: 100, perMs: 10_000 }

/** Between the end of its output and its own, milliseconds. */
const exitMs = 500

/** How long it is waited for after its input was closed, and after SIGTERM, milliseconds. */
export interface EndPatience {
  readonly closedMs: number
  readonly termMs: number
}

export const endPatience: EndPatience = { closedMs: 2000, termMs: 3000 }

export class StdioProcess {
  readonly #child: ChildProcess
  readonly #ears: ProcessEars
  readonly #maxMessage: number
  readonly #gone: Promise<void>
  #garbage = 0
  #ended = false

  constructor(plan: ProcessPlan, ears: ProcessEars) {
    this.#ears = ears
    this.#maxMessage = plan.maxMessage
    const [file, ...args] = limited(plan)
    this.#child = spawn(file!, args, {
      ...(plan.cwd === undefined ? {} : { cwd: plan.cwd }),
      env: { ...kept(), ...plan.env },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#gone = new Promise(resolve => {
      this.#child.once('error', error => {
        this.#end(`it could not be started (${'code' in error ? String(error.code) : 'error'})`)
        if (this.#child.pid === undefined) resolve()
      })
      this.#child.once('exit', (code, signal) => {
        // What it has started ends with it.
        this.#signal('SIGKILL')
        this.#end(signal === null ? `it ended with status ${code}` : `it was ended by ${signal}`)
        resolve()
      })
    })
    this.#child.stdin!.on('error', () => undefined)
    this.#listen()
  }

  /** Undefined where it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Throws `upstream-unreachable` where it has ended, `overloaded` where it does not read what it is sent. */
  send(message: RpcMessage): void {
    const { stdin } = this.#child
    if (this.#ended || stdin === null || !stdin.writable)
      throw new GatewayError('upstream-unreachable', { detail: 'the server’s process has ended' })
    if (stdin.writableLength > this.#maxMessage)
      throw new GatewayError('overloaded', { detail: 'the server does not read its input' })
    stdin.write(`${writeMessage(message)}\n`)
  }

  /** Closes its input, then SIGTERM, then SIGKILL, each to the whole group. Resolves when it has gone. */
  async close(patience: EndPatience = endPatience): Promise<void> {
    this.#child.stdin?.end()
    const term = setTimeout(() => this.#signal('SIGTERM'), patience.closedMs)
    const kill = setTimeout(() => this.#signal('SIGKILL'), patience.closedMs + patience.termMs)
    await this.#gone
    clearTimeout(term)
    clearTimeout(kill)
  }

  #listen(): void {
    const { stdout, stderr } = this.#child
    const lines = new Lines(this.#maxMessage)
    stdout!.on('data', (chunk: Buffer) => {
      if (this.#ended) return
      for (const line of lines.push(chunk)) this.#take(line)
      if (lines.overlong) this.#break(`a message is over ${this.#maxMessage} bytes`)
    })
    // Most often it has ended, and how says more.
    stdout!.once('end', () => {
      const timer = setTimeout(() => this.#break('it has closed its output'), exitMs)
      void this.#gone.then(() => clearTimeout(timer))
    })
    const errors = new Lines(longestErrorLine)
    let told = 0
    let since = performance.now()
    stderr!.on('data', (chunk: Buffer) => {
      for (const line of errors.push(chunk)) {
        if (performance.now() - since > errorLines.perMs) {
          since = performance.now()
          told = 0
        }
        if (told++ < errorLines.most && !this.#ended) this.#ears.onStderr(line.toString('utf8'))
      }
    })
  }

  #take(line: Buffer): void {
    if (this.#ended || line.length === 0) return
    let message: RpcMessage
    try {
      message = readMessage(line)
    } catch {
      if (++this.#garbage > mostGarbage) this.#break('it writes what is no JSON-RPC')
      return
    }
    this.#ears.onMessage(message)
  }

  #break(why: string): void {
    if (this.#ended) return
    this.#end(why)
    void this.close({ closedMs: 0, termMs: endPatience.termMs })
  }

  #end(why: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#ears.onEnd(why)
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch {
      // The group has ended.
    }
  }
}

/** Splits at line feeds. A line over the limit is left out whole, its later pieces too, and never held. */
class Lines {
  readonly #limit: number
  #parts: Buffer[] = []
  #size = 0
  /** The line that has not ended is one that is left out. */
  #skipping = false
  /** There was a line over the limit. */
  overlong = false

  constructor(limit: number) {
    this.#limit = limit
  }

  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = []
    let from = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      this.#hold(chunk.subarray(from, end))
      if (!this.#skipping) lines.push(Buffer.concat(this.#parts))
      this.#drop()
      this.#skipping = false
      from = end + 1
    }
    this.#hold(chunk.subarray(from))
    return lines
  }

  #hold(piece: Buffer): void {
    if (this.#skipping) return
    this.#parts.push(piece)
    this.#size += piece.length
    if (this.#size <= this.#limit) return
    this.#drop()
    this.#skipping = true
    this.overlong = true
  }

  #drop(): void {
    this.#parts = []
    this.#size = 0
  }
}

function kept(): Record<string, string> {
  return Object.fromEntries(
    inherited.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
}

/** The command under its limits: a shell sets them and becomes the command, so nothing is left in between. */
function limited({ command, args, memory, cpuSeconds }: ProcessPlan): string[] {
  const script = [
    // No memory of a process that holds secrets is left on a disk.
    'ulimit -c 0',
    ...(memory === undefined ? [] : [`ulimit -d ${Math.ceil(memory / 1024)}`]),
    ...(cpuSeconds === undefined ? [] : [`ulimit -t ${Math.ceil(cpuSeconds)}`]),
    'exec "$@"',
  ].join(' && ')
  return ['/bin/sh', '-c', script, 'sh', command, ...args]
}
