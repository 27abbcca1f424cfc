import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { type AppendOptions, type Batch, StorageFaultError, StorageFullError } from '../storage.ts'
import { frameLength, layOutFrame } from './frame.ts'
import type { JournalOptions, Place } from './journal-writer.ts'
import type { Recovered } from './recover-journal.ts'

/** Places in the shared control words: the turn goes up with each command. */
export const turnSlot = 0
export const commandSlot = 1
export const lengthSlot = 2
export const urgentSlot = 3

export const commands = { append: 1, close: 2 } as const

export interface JournalStart {
  readonly control: SharedArrayBuffer
  readonly options: Omit<JournalOptions, 'files'>
  /** A module that exports `files: Files` in place of the system's, for tests of faults. */
  readonly files?: string
}

/** An answer, with the turn that it answers; that of opening is 0. */
export type JournalReply = { readonly turn: number } & (
  | { readonly opened: { readonly id: Uint8Array; readonly recovered: Recovered } }
  | { readonly place: Place }
  | { readonly failed: { readonly message: string; readonly full: boolean } }
  | { readonly closed: true }
)

interface Waiting {
  readonly turn: number
  readonly resolve: (reply: JournalReply) => void
  readonly reject: (error: Error) => void
}

const firstBufferBytes = 2 * 1024 * 1024

/**
 * The journal's thread as seen from outside. The batch is laid out in memory that both share, so that one copy is all
 * that it costs, whatever its size.
 */
export class JournalThread {
  readonly id: Buffer
  readonly recovered: Recovered
  readonly #worker: Worker
  readonly #control: Int32Array
  #buffer: Buffer
  #sent = false
  #waiting: Waiting | undefined
  #fault: StorageFaultError | undefined

  private constructor(worker: Worker, start: JournalStart, opened: { id: Uint8Array; recovered: Recovered }) {
    this.#worker = worker
    this.#control = new Int32Array(start.control)
    this.#buffer = Buffer.from(new SharedArrayBuffer(firstBufferBytes))
    this.id = Buffer.from(opened.id)
    this.recovered = opened.recovered
    worker.on('message', (reply: JournalReply) => this.#take(reply))
    worker.on('error', error => this.#lost(error))
    worker.on('exit', () => this.#lost(undefined))
    worker.unref()
  }

  static async open(options: Omit<JournalOptions, 'files'>, files?: string): Promise<JournalThread> {
    const control = new SharedArrayBuffer(16)
    const start: JournalStart = { control, options, ...(files === undefined ? {} : { files }) }
    const worker = new Worker(new URL('./journal-worker.ts', import.meta.url), { workerData: start })
    const [reply] = (await once(worker, 'message')) as [JournalReply]
    if ('opened' in reply) return new JournalThread(worker, start, reply.opened)
    await worker.terminate()
    throw 'failed' in reply ? errorOf(reply.failed) : new StorageFaultError('the journal did not open')
  }

  /** As LogStore.append; one at a time. */
  async append(batch: Batch, options: AppendOptions = {}): Promise<Place> {
    if (this.#fault !== undefined) throw this.#fault
    const length = frameLength(batch)
    if (length > this.#buffer.length) {
      this.#buffer = Buffer.from(new SharedArrayBuffer(2 ** Math.ceil(Math.log2(length))))
      this.#sent = false
    }
    layOutFrame(batch, this.#buffer)
    this.#control[lengthSlot] = length
    this.#control[urgentSlot] = options.urgent === true ? 1 : 0
    const reply = await this.#ask(commands.append)
    if ('place' in reply) return reply.place
    const error = 'failed' in reply ? errorOf(reply.failed) : new StorageFaultError('an unexpected answer')
    if (error instanceof StorageFaultError) this.#fault = error
    throw error
  }

  async close(): Promise<void> {
    if (this.#fault === undefined) await this.#ask(commands.close)
    this.#fault ??= new StorageFaultError('the log store is closed')
    await this.#worker.terminate()
  }

  #ask(command: number): Promise<JournalReply> {
    return new Promise((resolve, reject) => {
      this.#waiting = { turn: Atomics.load(this.#control, turnSlot) + 1, resolve, reject }
      // Only while an answer is due does the thread keep the process alive.
      this.#worker.ref()
      if (!this.#sent) this.#worker.postMessage(this.#buffer.buffer)
      this.#sent = true
      this.#control[commandSlot] = command
      Atomics.add(this.#control, turnSlot, 1)
      Atomics.notify(this.#control, turnSlot)
    })
  }

  /** An answer to anything but what is asked now would acknowledge what may not be durable. */
  #take(reply: JournalReply): void {
    if (reply.turn === this.#waiting?.turn) return this.#settle(waiting => waiting.resolve(reply))
    this.#lost(new Error(`the journal's thread answered turn ${reply.turn} out of turn`))
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    this.#worker.unref()
    if (waiting !== undefined) how(waiting)
  }

  #lost(cause: unknown): void {
    this.#fault ??= new StorageFaultError('the thread of the journal ended', { cause })
    this.#settle(waiting => waiting.reject(this.#fault!))
  }
}

function errorOf({ message, full }: { readonly message: string; readonly full: boolean }): Error {
  return full ? new StorageFullError(message) : new StorageFaultError(message)
}
