import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer } from './downstream.ts'
import { Replay, ReplayableStreams, ReplayStore } from './replay.ts'

const answer = {} as Answer

function stage(most: number, primes = true) {
  const store = new ReplayStore({ most, keptMs: 60_000 })
  const streams = new ReplayableStreams()
  const open = (): Replay => {
    const replay = new Replay(store, streams, primes)
    replay.begin(answer)
    return replay
  }
  return { store, streams, open }
}

const data = (replay: Replay, after: number): string[] | undefined =>
  replay.after(after)?.map(([, each]) => each)

test('a client gets what came after the event that it names, and nothing of another stream', () => {
  const { streams, open } = stage(1000)
  const one = open()
  const two = open()
  const id = one.keep('a')
  two.keep('secret')
  one.keep('b')
  assert.deepEqual(data(one, streams.find(id)!.after), ['b'])
  assert.deepEqual(data(one, 0), ['a', 'b'])
  for (const strange of ['', '1', '1-', '9-0', '1-x', '-1-0', '1-0-0', `1-${'9'.repeat(30)}`])
    assert.equal(streams.find(strange), undefined, strange)
  assert.equal(data(one, 3), undefined)
})

test('P12: a stream keeps its newest events; who asks for what is gone is told so', () => {
  const { store, open } = stage(10_000_000)
  const replay = open()
  for (let i = 0; i < 100; i++) replay.keep('x'.repeat(10_000))
  assert.ok(store.size <= 256 * 1024, String(store.size))
  assert.equal(data(replay, 3), undefined)
  assert.equal(data(replay, 99)!.length, 1)
})

test('P12: streams that have ended give way to others; without room a stream can not be come back to', () => {
  const { store, streams, open } = stage(100)
  const ended = open()
  const last = ended.keep('x'.repeat(60))
  ended.end()
  const running = open()
  running.keep('y'.repeat(60))
  assert.equal(streams.find(last), undefined)
  assert.equal(store.size, 60)
  const third = open()
  third.keep('z'.repeat(60))
  assert.equal(data(third, 0), undefined)
  assert.equal(third.mayWait, false)
  assert.equal(store.size, 60)
  streams.close()
  assert.equal(store.size, 0)
})

test('a client of an earlier revision is not primed, and can come back once it has an id', () => {
  const { streams } = stage(100)
  const replay = new Replay(new ReplayStore({ most: 100, keptMs: 1000 }), streams, false)
  assert.equal(replay.begin(answer), undefined)
  assert.equal(replay.mayWait, false)
  replay.keep('a')
  assert.equal(replay.mayWait, true)
})

test('P12: a stream that nobody reads makes its server wait', async () => {
  const { open } = stage(10_000_000)
  const replay = open()
  replay.away()
  replay.keep('x'.repeat(300 * 1024), false)
  let went = false
  const waits = replay.room().then(() => (went = true))
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(went, false)
  replay.back()
  await waits
})
