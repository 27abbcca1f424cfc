/** Reads secrets through the references of the configuration (config/secret.ts). */
import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { environmentVariable } from '../config/secret.ts'
import { GatewayError } from '../errors.ts'

const run = promisify(execFile)

/** A secret that can be read again when it rotates. */
export interface SecretSource {
  /** Throws `credential-unavailable`. Answers from memory while what it read is fresh. */
  read(): string | Promise<string>
}

const freshFor = 30_000
const commandTimeout = 10_000

/** `base` is the directory that relative `file:` paths start from. */
export function openSecret(reference: string, base: string, environment = process.env): SecretSource {
  if (reference.startsWith('file:')) return fileSecret(resolve(base, reference.slice('file:'.length)))
  if (reference.startsWith('command:')) return commandSecret(reference.slice('command:'.length))
  const value = reference.replace(environmentVariable, (_, name: string) => {
    const found = environment[name]
    if (found === undefined || found === '') throw unavailable(`the environment variable ${name} is not set`)
    return found
  })
  return { read: () => value }
}

/** Re-read when the file changed, looked at no more than twice a minute: a rotated key needs no restart. */
function fileSecret(path: string): SecretSource {
  let value: string | undefined
  let modified = 0
  return cached(async () => {
    try {
      const { mtimeMs } = await stat(path)
      if (value === undefined || mtimeMs !== modified)
        value = (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
      modified = mtimeMs
      return value
    } catch (cause) {
      throw unavailable('a secret file can not be read', `${path}: ${String(cause)}`)
    }
  })
}

function commandSecret(text: string): SecretSource {
  const parsed = z.array(z.string()).min(1).safeParse(parseJson(text))
  if (!parsed.success) throw unavailable('command: needs a JSON array of a program and its arguments')
  const [program, ...args] = parsed.data
  return cached(async () => {
    try {
      const { stdout } = await run(program!, args, { timeout: commandTimeout, maxBuffer: 64 * 1024 })
      return stdout.replace(/\r?\n$/, '')
    } catch (cause) {
      throw unavailable('a secret command failed', `${program}: ${String((cause as Error).message)}`)
    }
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Single flight, and what was read serves until it is no longer fresh. */
function cached(load: () => Promise<string>): SecretSource {
  let value: string | undefined
  let until = 0
  let loading: Promise<string> | undefined
  return {
    read() {
      if (value !== undefined && Date.now() < until) return value
      loading ??= load()
        .then(loaded => {
          value = loaded
          until = Date.now() + freshFor
          return loaded
        })
        .finally(() => {
          loading = undefined
        })
      return loading
    },
  }
}

function unavailable(detail: string, internal?: string): GatewayError {
  return new GatewayError('credential-unavailable', {
    detail,
    ...(internal === undefined ? {} : { internal }),
  })
}
