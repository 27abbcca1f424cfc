/** Why a gateway did not start, for who starts it: what is wrong and where, without the inside of the program. */
import { ProblemsError } from '../config/located-yaml.ts'
import { GatewayError } from '../errors.ts'
import { StorageLockedError } from '../storage/storage.ts'
import { exit, Failure } from './failure.ts'

/** Gives back what is a mistake of the program itself, with its stack. */
export function startFailure(error: unknown): unknown {
  if (error instanceof ProblemsError) return new Failure(error.message, exit.usage)
  if (error instanceof GatewayError || error instanceof StorageLockedError)
    return new Failure(`the gateway can't start: ${error.message}`)
  if (!(error instanceof Error)) return error
  const words = wordsOf(error)
  return words === undefined ? error : new Failure(`the gateway can't start: ${words}`, exit.usage)
}

function wordsOf(error: NodeJS.ErrnoException): string | undefined {
  const { code = '', syscall, path, message } = error
  if (syscall === 'listen') {
    const { address = '', port = '' } = error as { address?: string; port?: number }
    const place = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
    return `${place}: ${listening[code] ?? message}`
  }
  const known = files[code]
  if (path !== undefined && known !== undefined) return `${path}: ${known}`
  return undefined
}

const listening: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there, or this gateway runs already',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not listen there (ports below 1024 are for privileged users)',
}

const files: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'this user may not read or write it',
  EPERM: 'this user may not read or write it',
  EEXIST: 'a file is there where a directory should be',
  ENOTDIR: 'a part of this path is a file, not a directory',
  EISDIR: 'a directory is there where a file should be',
  ENOSPC: 'no room on the disk',
  EROFS: 'the file system is read-only',
}
