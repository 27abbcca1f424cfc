/**
 * The journal's thread. It sleeps on shared memory, which wakes it faster than a message does, and answers by message.
 * While nothing is asked of it, it takes space ahead.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { StorageFullError } from '../storage.ts'
import { systemFiles } from './files.ts'
import type { JournalReply, JournalStart } from './journal-thread.ts'
import { commandSlot, lengthSlot, turnSlot, urgentSlot, commands } from './journal-thread.ts'
import { JournalWriter } from './journal-writer.ts'

const port = parentPort!
const start = workerData as JournalStart
const control = new Int32Array(start.control)

const betweenSlicesMs = 2

function reply(message: JournalReply): void {
  port.postMessage(message)
}

async function run(): Promise<void> {
  const layer = start.files === undefined ? undefined : await import(start.files)
  const files = layer === undefined ? systemFiles : (layer as { files: typeof systemFiles }).files
  let writer: JournalWriter
  try {
    writer = new JournalWriter({ ...start.options, files })
  } catch (error) {
    return reply({ turn: 0, ...failure(error) })
  }
  reply({ turn: 0, opened: { id: writer.id, recovered: writer.recovered } })
  serve(writer)
}

function serve(writer: JournalWriter): void {
  let buffer: Buffer = Buffer.alloc(0)
  let turn = 0
  let starved = false
  for (;;) {
    const wait = writer.wantsPreparation ? (starved ? 1000 : betweenSlicesMs) : Number.POSITIVE_INFINITY
    if (Atomics.wait(control, turnSlot, turn, wait) === 'timed-out') {
      starved = !writer.prepare()
      continue
    }
    const asked = Atomics.load(control, turnSlot)
    // The turn goes up before the wake-up is sent. A command that was taken in between is woken for once more: for
    // nothing, and what it asked for must not be done twice.
    if (asked === turn) continue
    turn = asked
    const sent = receiveMessageOnPort(port) as { message: SharedArrayBuffer } | undefined
    if (sent !== undefined) buffer = Buffer.from(sent.message)
    if (control[commandSlot] === commands.close) {
      writer.close()
      return reply({ turn, closed: true })
    }
    try {
      const place = writer.append(buffer.subarray(0, control[lengthSlot]), control[urgentSlot] === 1)
      reply({ turn, place })
      // A busy log never idles: it takes its space in the shadow of the answer.
      if (writer.runsShort && !starved) starved = !writer.prepare()
    } catch (error) {
      reply({ turn, ...failure(error) })
    }
  }
}

function failure(error: unknown): { readonly failed: { readonly message: string; readonly full: boolean } } {
  const { message, cause } = error instanceof Error ? error : new Error(String(error))
  const full = error instanceof StorageFullError
  const reason = cause instanceof Error ? `: ${cause.message}` : ''
  return { failed: { message: `${message}${reason}`, full } }
}

await run()
