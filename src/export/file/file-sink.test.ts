import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { afterEach, beforeEach, test } from 'node:test'
import { testSink } from '../contract.ts'
import type { Sink } from '../sink.ts'
import { recordOf } from '../testing/samples.ts'
import { createFileSink } from './file-sink.ts'
import { createStreamSink } from './stream-sink.ts'

const { signal } = new AbortController()
let directory: string
let path: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-file-sink-'))
  path = join(directory, 'audit.ndjson')
})
afterEach(() => rm(directory, { recursive: true, force: true }))

function numbersOf(text: string): number[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => Number((JSON.parse(line) as { seq: string }).seq))
}

/** The renamed files in their order, then the current one. */
async function allLines(): Promise<string> {
  const names = (await readdir(directory)).toSorted()
  const renamed = names.filter(name => name !== 'audit.ndjson')
  const files = [...renamed, ...names.filter(name => !renamed.includes(name))]
  const texts = await Promise.all(files.map(name => readFile(join(directory, name), 'utf8')))
  return texts.join('')
}

function send(sink: Sink, ...indexes: number[]) {
  const batch = indexes.map(index => {
    const record = recordOf({ kind: 'heartbeat' }, index)
    return { record, body: sink.encode(record, { now: 0, backfill: false }) }
  })
  return sink.send(batch, signal)
}

testSink('file', ['down'], async () => {
  const away = `${directory}.away`
  return {
    open: name => createFileSink({ name, path, rotateAt: 65_536 }),
    fail: () => rename(directory, away),
    mend: () => rename(away, directory),
    arrived: async () => numbersOf(await allLines()),
    close: () => Promise.resolve(),
  }
})

testSink('stdout', [], async () => {
  const stream = new PassThrough()
  let text = ''
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return {
    open: name => createStreamSink({ name, stream }),
    fail: () => undefined,
    mend: () => undefined,
    arrived: async () => numbersOf(text),
    close: () => Promise.resolve(),
  }
})

test('P3: each line is the exact bytes that the log hashed', async () => {
  const sink = createFileSink({ name: 'f', path, rotateAt: 65_536 })
  assert.deepEqual(await send(sink, 1, 2), { result: 'accepted' })
  await sink.close()
  const expected = [1, 2].map(index => `${recordOf({ kind: 'heartbeat' }, index).bytes.toString()}\n`)
  assert.equal(await readFile(path, 'utf8'), expected.join(''))
})

test('P7: a line that a crash cut short is removed, however long, and what was whole stays', async () => {
  const first = createFileSink({ name: 'f', path, rotateAt: 1e9 })
  await send(first, 1, 2)
  await first.close()
  for (const torn of ['{"kind":"hea', 'x'.repeat(200_000)]) {
    await appendFile(path, torn)
    const sink = createFileSink({ name: 'f', path, rotateAt: 1e9 })
    await send(sink, 3)
    await sink.close()
  }
  assert.deepEqual(numbersOf(await readFile(path, 'utf8')), [1, 2, 3, 3])
})

test('a file that was only a torn line is emptied', async () => {
  await writeFile(path, 'x'.repeat(70_000))
  const sink = createFileSink({ name: 'f', path, rotateAt: 1e9 })
  await send(sink, 1)
  await sink.close()
  assert.deepEqual(numbersOf(await readFile(path, 'utf8')), [1])
})

test('a full file is renamed, nothing is deleted, and lines stay whole', async () => {
  const sink = createFileSink({ name: 'f', path, rotateAt: 300 })
  for (let i = 0; i < 12; i++) await send(sink, i)
  await sink.close()
  assert.ok((await readdir(directory)).length > 1)
  assert.deepEqual(
    numbersOf(await allLines()),
    Array.from({ length: 12 }, (_, i) => i),
  )
})

test('calls at the same time do not mix their lines', async () => {
  const sink = createFileSink({ name: 'f', path, rotateAt: 500 })
  await Promise.all(Array.from({ length: 20 }, (_, i) => send(sink, 2 * i, 2 * i + 1)))
  await sink.close()
  assert.deepEqual(
    numbersOf(await allLines()),
    Array.from({ length: 40 }, (_, i) => i),
  )
})

test('an entry with a line feed has no form in a file of lines', () => {
  const sink = createFileSink({ name: 'f', path, rotateAt: 500 })
  const record = recordOf({ kind: 'heartbeat' })
  record.bytes[5] = 0x0a
  assert.throws(() => sink.encode(record, { now: 0, backfill: false }), TypeError)
  assert.equal(sink.stub(record, 'why\n').includes(0x0a), false)
})

test('a stream that fails is a retry, never a loss', async () => {
  const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) })
  stream.on('error', () => undefined)
  assert.equal((await send(createStreamSink({ name: 's', stream }), 1)).result, 'retry')
})
