import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { StorageFaultError } from '../storage.ts'
import { layOutFrame } from './frame.ts'
import {
  commandSlot,
  commands,
  type JournalReply,
  type JournalStart,
  lengthSlot,
  turnSlot,
} from './journal-thread.ts'
import { batchOf, frameOf, openJournal, reopen, scratch } from './testing/journals.ts'

test('P1: a wake-up that comes late does not append a batch a second time', async t => {
  const directory = scratch(t)
  const control = new SharedArrayBuffer(16)
  const words = new Int32Array(control)
  const start: JournalStart = {
    control,
    options: { directory, segmentBytes: 1024 * 1024, reserveBytes: 0, checkSegments: 2 },
  }
  const worker = new Worker(new URL('./journal-worker.ts', import.meta.url), { workerData: start })
  t.after(() => worker.terminate())
  const replies: JournalReply[] = []
  await once(worker, 'message')
  worker.on('message', (reply: JournalReply) => void replies.push(reply))
  const memory = Buffer.from(new SharedArrayBuffer(64 * 1024))
  worker.postMessage(memory.buffer)
  const texts = ['first', 'second', 'third']
  for (const [i, text] of texts.entries()) {
    const frame = frameOf(batchOf(i, text))
    layOutFrame(batchOf(i, text), memory)
    words[lengthSlot] = frame.length
    words[commandSlot] = commands.append
    Atomics.add(words, turnSlot, 1)
    Atomics.notify(words, turnSlot)
    while (replies.length <= i) await setImmediate()
    // As if the one who asks had been held up between the turn and the wake-up until all was done.
    while (Atomics.notify(words, turnSlot) === 0) await setImmediate()
  }
  assert.deepEqual(
    replies.map(({ turn }) => turn),
    [1, 2, 3],
  )
  await worker.terminate()
  assert.deepEqual(await reopen(directory), texts)
})

test('a batch that does not begin with the next entry is not written, and nothing after it is', async t => {
  const directory = scratch(t)
  const writer = openJournal(directory)
  writer.append(frameOf(batchOf(0, 'first')), false)
  for (const start of [0, 1]) {
    assert.throws(() => writer.append(frameOf(batchOf(start, 'again')), false), StorageFaultError)
  }
  writer.close()
  assert.deepEqual(await reopen(directory), ['first'])
})
