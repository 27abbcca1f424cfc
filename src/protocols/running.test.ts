import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Running } from './running.ts'

function piece() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return {
    done: resolve,
    work: () => promise,
    cut: false,
    abandon() {
      this.cut = true
      resolve()
    },
  }
}

test('closing waits for what runs, and cuts nothing that ends in time', async () => {
  const running = new Running<ReturnType<typeof piece>>()
  const [first, second] = [piece(), piece()]
  const all = [first, second].map(each => running.during(each, each.work))
  assert.equal(running.closing, false)
  let closed = false
  const closing = running.close(60_000).then(() => (closed = true))
  assert.equal(running.closing, true)
  first.done()
  await all[0]
  assert.equal(closed, false)
  second.done()
  await closing
  assert.deepEqual([first.cut, second.cut], [false, false])
})

test('what does not end in time is abandoned, and a fault of the work is its own', async () => {
  const running = new Running<ReturnType<typeof piece>>()
  const slow = piece()
  const ended = running.during(slow, slow.work)
  await assert.rejects(
    running.during(piece(), () => Promise.reject(new Error('broken'))),
    /broken/,
  )
  await running.close(1)
  assert.equal(slow.cut, true)
  await ended
  await running.close(60_000)
})
