/** Calls into a worker thread, and their answers, by number. Faults keep the kind that the storage contract names. */
import { parentPort, Worker } from 'node:worker_threads'
import { StorageFaultError, StorageFullError } from '../storage.ts'

interface Call {
  readonly id: number
  readonly method: string
  readonly argument: unknown
}

type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failed: { readonly name: string; readonly message: string } }

export interface Caller {
  call<T>(method: string, argument: unknown): Promise<T>
  /** Ends the thread. Calls that wait are rejected. */
  end(): Promise<void>
}

/** Starts a thread that `serve`s. It keeps the process alive only while a call waits. */
export function startCaller(url: URL, workerData: unknown): Caller {
  const worker = new Worker(url, { workerData })
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  let last = 0
  let fault: StorageFaultError | undefined
  worker.unref()
  worker.on('message', (answer: Answer) => {
    const found = waiting.get(answer.id)
    waiting.delete(answer.id)
    if (waiting.size === 0) worker.unref()
    if ('failed' in answer) found?.reject(errorOf(answer.failed))
    else found?.resolve(answer.result as never)
  })
  const lost = (cause: unknown): void => {
    fault ??= new StorageFaultError('a thread of the store ended', { cause })
    for (const { reject } of waiting.values()) reject(fault)
    waiting.clear()
  }
  worker.on('error', lost)
  worker.on('exit', () => lost(undefined))
  return {
    call: <T>(method: string, argument: unknown) =>
      new Promise<T>((resolve, reject) => {
        if (fault !== undefined) return reject(fault)
        waiting.set(++last, { resolve, reject })
        worker.ref()
        worker.postMessage({ id: last, method, argument } satisfies Call)
      }),
    async end() {
      fault ??= new StorageFaultError('the store is closed')
      await worker.terminate()
    },
  }
}

/** Answers calls, in the thread. What a handler returns is copied to the caller. */
export function serve(handlers: Readonly<Record<string, (argument: never) => unknown>>): void {
  const port = parentPort!
  port.on('message', ({ id, method, argument }: Call) => {
    const run = async (): Promise<unknown> => handlers[method]!(argument as never)
    run().then(
      result => port.postMessage({ id, result } satisfies Answer),
      (error: unknown) => port.postMessage({ id, failed: describe(error) } satisfies Answer),
    )
  })
}

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const sqliteFull = 13

function describe(error: unknown): { name: string; message: string } {
  if (!(error instanceof Error)) return { name: 'StorageFaultError', message: String(error) }
  if (sqliteCode(error) === sqliteFull) return { name: 'StorageFullError', message: error.message }
  return { name: error.name, message: error.message }
}

function errorOf({ name, message }: { readonly name: string; readonly message: string }): Error {
  if (name === 'StorageFullError') return new StorageFullError(message)
  return name === 'TypeError' ? new TypeError(message) : new StorageFaultError(message)
}

/** The primary result code of an error of SQLite; undefined for other errors. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined
}
