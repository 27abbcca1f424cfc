import { type Files, systemFiles } from '../files.ts'

export type FaultyCall = 'open' | 'write' | 'datasync' | 'makeDirectory' | 'syncDirectory'

/** A fault at one call, or at each from it on: an error code, or a write that takes one byte and then fails. */
export interface Fault {
  /** Counted from 0 over all calls that can fail. */
  readonly at: number
  readonly code: string
  readonly lasting?: boolean
  /** The write takes this many bytes before; 0: none. */
  readonly short?: number
}

export interface FaultyFiles extends Files {
  fault: Fault | undefined
  /** Calls so far, by name. */
  readonly calls: FaultyCall[]
}

export function errorOf(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}

/** The system's calls with one that goes wrong. */
export function faultyFiles(): FaultyFiles {
  const due = (call: FaultyCall): Fault | undefined => {
    const at = files.calls.push(call) - 1
    const { fault } = files
    return fault !== undefined && (fault.lasting === true ? at >= fault.at : at === fault.at)
      ? fault
      : undefined
  }
  const check = (call: FaultyCall): void => {
    const fault = due(call)
    if (fault !== undefined) throw errorOf(fault.code)
  }
  const files: FaultyFiles = {
    ...systemFiles,
    fault: undefined,
    calls: [],
    open(path, flags) {
      if (flags === 'wx+') check('open')
      return systemFiles.open(path, flags)
    },
    write(fd, bytes, position) {
      const fault = due('write')
      if (fault === undefined) return systemFiles.write(fd, bytes, position)
      const short = Math.min(fault.short ?? 0, bytes.length - 1)
      if (short > 0) systemFiles.write(fd, bytes.subarray(0, short), position)
      if (fault.code === 'SHORT') return Math.max(1, systemFiles.write(fd, bytes.subarray(0, 1), position))
      throw errorOf(fault.code)
    },
    datasync(fd) {
      check('datasync')
      systemFiles.datasync(fd)
    },
    syncDirectory(path) {
      check('syncDirectory')
      systemFiles.syncDirectory(path)
    },
  }
  return files
}
