import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'yaml'

/** The socket by which this machine's own user reaches the API; mode 0600 in the data directory. */
export function socketPath(dataDirectory: string): string {
  return join(dataDirectory, 'admin.sock')
}

/** The data directory that a configuration file names, without checking the rest of it; undefined without a file. */
export function readDataDirectory(file: string): string | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  const { data = './data' } = (parse(text) ?? {}) as { data?: string }
  return resolve(dirname(file), data)
}
