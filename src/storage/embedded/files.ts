/**
 * The system calls that the journal makes, and no others: blocking, since they run in the journal's own thread. Tests
 * put a layer in between that fails the n-th call.
 */
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import type { DiskSpace } from '../storage.ts'

export interface Files {
  /** `wx+` creates and fails where there is one already. */
  open(path: string, flags: 'r' | 'r+' | 'wx+'): number
  /** May read less than asked for; 0 at the end. */
  read(fd: number, target: Uint8Array, position: number): number
  /** May write less than asked for. */
  write(fd: number, bytes: Uint8Array, position: number): number
  datasync(fd: number): void
  size(fd: number): number
  close(fd: number): void
  list(directory: string): string[]
  remove(path: string): void
  makeDirectory(path: string): void
  syncDirectory(path: string): void
  space(path: string): DiskSpace
}

export const systemFiles: Files = {
  open: (path, flags) => openSync(path, flags, 0o600),
  read: (fd, target, position) => readSync(fd, target, 0, target.length, position),
  write: (fd, bytes, position) => writeSync(fd, bytes, 0, bytes.length, position),
  datasync: fd => fdatasyncSync(fd),
  size: fd => fstatSync(fd).size,
  close: fd => closeSync(fd),
  list: directory => readdirSync(directory),
  remove: path => unlinkSync(path),
  makeDirectory: path => void mkdirSync(path, { recursive: true, mode: 0o700 }),
  syncDirectory(path) {
    const fd = openSync(path, 'r')
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  },
  space(path) {
    const { bavail, blocks, bsize } = statfsSync(path)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  },
}

const noRoom = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Whether the fault says that there is no room, and nothing worse. */
export function isNoRoom(error: unknown): boolean {
  return noRoom.has(codeOf(error))
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

const mostInterruptions = 100

/** Runs a call again for as long as a signal interrupts it. */
function uninterrupted<T>(call: () => T): T {
  for (let i = 0; ; i++) {
    try {
      return call()
    } catch (error) {
      if (codeOf(error) !== 'EINTR' || i >= mostInterruptions) throw error
    }
  }
}

/** Writes all of `bytes`, however few each call takes. `done` is told after each, so that a fault leaves a count. */
export function writeAll(
  files: Files,
  to: { readonly fd: number; readonly position: number; readonly done?: (written: number) => void },
  bytes: Uint8Array,
): void {
  for (let at = 0; at < bytes.length; ) {
    const rest = at === 0 ? bytes : bytes.subarray(at)
    const written = uninterrupted(() => files.write(to.fd, rest, to.position + at))
    if (written <= 0) throw new Error('a write took nothing')
    at += written
    to.done?.(at)
  }
}

/** Reads until `target` is full or the file ends; gives what was read. */
export function readFull(
  files: Files,
  from: { readonly fd: number; readonly position: number },
  target: Buffer,
): Buffer {
  let at = 0
  while (at < target.length) {
    const read = uninterrupted(() => files.read(from.fd, target.subarray(at), from.position + at))
    if (read === 0) break
    at += read
  }
  return target.subarray(0, at)
}

export function datasync(files: Files, fd: number): void {
  uninterrupted(() => files.datasync(fd))
}
