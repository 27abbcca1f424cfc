import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Answer } from './downstream.ts'
import { Replay, ReplayableStreams, ReplayStore } from './replay.ts'

const answer = {} as Answer

function stage(most: number, primes = true) {
  const store = new ReplayStore({ most, keptMs: 60_000 })
  const streams = new ReplayableStreams()
  const open = (): Replay => {
    return begun(store, streams, { primes })
  }
  const listen = (): Replay => begun(store, streams, { primes, kind: 'listening' })
  return { store, streams, open, listen }
}

function begun(...of: ConstructorParameters<typeof Replay>): Replay {
  const replay = new Replay(...of)
  replay.begin(answer)
  return replay
}

/** Which event of a stream this is the id of. */
function after(streams: ReplayableStreams, id: string): number {
  const found = streams.find(id)
  assert.ok(typeof found === 'object')
  return found.after
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
  assert.deepEqual(data(one, after(streams, id)), ['b'])
  assert.deepEqual(data(one, 0), ['a', 'b'])
  const name = id.replace(/\.[^.]*$/, '')
  for (const strange of [
    '',
    '1.1',
    `${name}.`,
    `${name}.x`,
    `${name}.-1`,
    `${id}.0`,
    `${name}.${'9'.repeat(30)}`,
  ])
    assert.equal(streams.find(strange), undefined, strange)
  assert.equal(new ReplayableStreams().find(id), undefined)
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

test('P12: what is kept is counted in bytes', () => {
  const { store, open } = stage(1000)
  const replay = open()
  replay.keep('\u00e4'.repeat(300))
  assert.equal(store.size, 600)
  replay.keep('\u{1f600}'.repeat(150))
  assert.equal(data(replay, 0), undefined, 'beyond the limit')
  assert.equal(store.size, 0)
})

test('P12: a stream that listens keeps less, and gives way to answers', () => {
  const { store, streams, open, listen } = stage(100_000)
  const listening = listen()
  for (let i = 0; i < 20; i++) listening.keep('x'.repeat(5000))
  assert.ok(store.size <= 64 * 1024, String(store.size))
  const last = listening.keep('y')
  assert.deepEqual(data(listening, after(streams, last) - 1), ['y'])
  const answering = open()
  answering.keep('z'.repeat(90_000))
  assert.equal(data(answering, 0)!.length, 1)
  assert.equal(streams.find(last), 'past')
  assert.equal(new ReplayableStreams().find(last), undefined, 'in another session')
  assert.equal(streams.find(last.replace('.1l.', '.9l.')), undefined, 'a stream that never was')
})

test('a client of an earlier revision is not primed, and can come back once it has an id', () => {
  const { streams } = stage(100)
  const replay = new Replay(new ReplayStore({ most: 100, keptMs: 1000 }), streams, { primes: false })
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

test('who comes back before the request was sent on is not refused; after that it is as policy says', () => {
  const there = () => ({
    gone: false,
    onGone: () => undefined,
    head: () => undefined,
    flush: () => undefined,
    write: () => true,
    end: () => undefined,
    abandon: () => undefined,
  })
  const streams = new ReplayableStreams()
  const store = new ReplayStore({ most: 1000, keptMs: 60_000 })
  const waiting = new Answer(there() as never, {
    keepAliveMs: 60_000,
    mayStream: true,
    replay: new Replay(store, streams, { primes: true }),
  })
  waiting.open()
  const back = (id: string) => waiting.resume({ downstream: there(), subject: { id } } as never, 0)
  assert.equal(back('ana'), 'resumed')
  waiting.outlives(({ id }) => id === 'ana')
  assert.equal(back('bo'), 'denied')
  assert.equal(back('ana'), 'resumed')
  assert.equal(waiting.resume({ downstream: there(), subject: { id: 'ana' } } as never, 7), 'gone')
  waiting.abandon()
  assert.equal(back('ana'), 'gone')
})
