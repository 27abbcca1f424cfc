import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { root } from '../sources.ts'

const main = join(root, 'src/cli/main.ts')

/** Where a command runs. */
export interface CommandPlace {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

/** How a command ended. */
export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs `sallyport` with these arguments in `cwd`. Nothing of this process's environment speaks to it but `env`, and
 * its sign-in is kept in `cwd`.
 */
export async function runCli(args: readonly string[], at: CommandPlace): Promise<CommandResult> {
  const child = start(args, at)
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  return {
    code: code ?? -1,
    stdout: Buffer.concat(stdout).toString('utf8'),
    stderr: Buffer.concat(stderr).toString('utf8'),
  }
}

/** A command that does not end by itself, and the lines it has printed so far. */
export interface FollowedCommand extends AsyncDisposable {
  lines(): readonly string[]
  /** What it said beside: hints and problems. */
  hints(): readonly string[]
  /** Resolves with the exit code of one that ends by itself. */
  readonly ended: Promise<number>
}

/** Starts a command that follows something; disposing ends it. */
export function followCli(args: readonly string[], at: CommandPlace): FollowedCommand {
  const child = start(args, at)
  const ended = once(child, 'close').then(([code]) => (code as number | null) ?? -1)
  const lines: string[] = []
  const hints: string[] = []
  createInterface({ input: child.stdout }).on('line', line => lines.push(line))
  createInterface({ input: child.stderr }).on('line', line => hints.push(line))
  return {
    lines: () => lines,
    hints: () => hints,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGINT')
      await ended
    },
  }
}

function start(args: readonly string[], { cwd, env }: CommandPlace) {
  return spawn(process.execPath, [main, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: cwd, XDG_CONFIG_HOME: join(cwd, '.config'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
