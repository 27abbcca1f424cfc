import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turns } from './turns.ts'

const never = new AbortController().signal
const gone = (): Error => new Error('gone')

test('calls wait for their turn in order, and one too many is refused', async () => {
  const turns = new Turns(1, 2)
  await turns.take(never, gone)
  const order: string[] = []
  const first = turns.take(never, gone).then(() => order.push('first'))
  const second = turns.take(never, gone).then(() => order.push('second'))
  await assert.rejects(turns.take(never, gone), { code: 'overloaded' })
  assert.equal(turns.size, 3)
  turns.end()
  await first
  assert.deepEqual(order, ['first'])
  turns.end()
  await second
  turns.end()
  assert.equal(turns.size, 0)
})

test('who leaves gives up the place in the queue and takes no turn', async () => {
  const turns = new Turns(1, 1)
  await turns.take(never, gone)
  const leaving = new AbortController()
  const left = turns.take(leaving.signal, gone)
  leaving.abort()
  await assert.rejects(left, /gone/)
  const next = turns.take(never, gone)
  turns.end()
  await next
  turns.end()
  assert.equal(turns.size, 0)
})
