import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { openEmbeddedStorage } from '../storage/embedded/storage.ts'
import { openMemoryStorage } from '../storage/memory/index.ts'
import { type BlobWriter, type Storage, StorageFullError } from '../storage/storage.ts'
import { generateAgeKeyPair } from './age.ts'
import type { Frame } from './recorder.ts'
import { EncryptedRecordings } from './recordings.ts'

const pair = generateAgeKeyPair()
const keys = { recipients: [pair.recipient], identity: pair.identity, created: false }

function recordingsIn({ log, state }: Storage, maxBytes = 64 * 1024 * 1024): EncryptedRecordings {
  return new EncryptedRecordings({ log, state, keys, maxBytes })
}

function body(bytes: Buffer): Frame {
  return { from: 'upstream', part: 'body', bytes }
}

test('a small recording travels with its entry, a large one is a file of its own, and both read the same', async () => {
  const storage = openMemoryStorage()
  const recordings = recordingsIn(storage)
  for (const pieces of [0, 1, 7, 8, 9, 40]) {
    const recorder = recordings.recorder('s_1', 'full')
    const sent = Array.from({ length: pieces }, (_, i) => Buffer.alloc(40_000 + i, i))
    for (const each of sent) await recorder.write(body(each))
    const { recording, blob } = (await recorder.seal())!
    if (blob !== undefined) await storage.log.writeBlob({ hash: recording.blob, bytes: blob })
    assert.equal(blob === undefined, pieces > 6, `${pieces}`)
    const frames = await recordings.read(recording)
    assert.deepEqual(
      frames.map(each => each.bytes),
      sent,
    )
    assert.equal(recording.complete, true)
  }
})

test('P12: a large recording asks its writer to wait, and holds no more than it says', async () => {
  const storage = openMemoryStorage()
  const gates: (() => void)[] = []
  let written = 0
  const slow: BlobWriter = {
    write: bytes => {
      written += bytes.length
      return new Promise(resolve => gates.push(resolve))
    },
    finish: async () => ({ hash: `sha256:${'0'.repeat(64)}`, length: written }),
    abort: async () => undefined,
  }
  const log = Object.assign(Object.create(storage.log) as typeof storage.log, { openBlob: async () => slow })
  const recorder = recordingsIn({ ...storage, log }).recorder('s_1', 'full')
  let taken = 0
  let waiting: void | Promise<void> = undefined
  while (waiting === undefined && taken < 100) {
    waiting = recorder.write(body(Buffer.alloc(64 * 1024)))
    taken++
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.ok(taken < 16, `${taken} pieces were taken while the disk stood still`)
  let done = false
  const sealed = recorder.seal().then(result => {
    done = true
    return result
  })
  while (!done) {
    for (const open of gates.splice(0)) open()
    await new Promise(resolve => setImmediate(resolve))
  }
  await waiting
  assert.ok((await sealed)!.recording.length > taken * 64 * 1024)
})

test('P6: a recording that can not be kept fails its action, cuts the writer, and leaves nothing behind', async () => {
  const storage = openMemoryStorage()
  let aborted = 0
  const full: BlobWriter = {
    write: async () => {
      throw new StorageFullError('no room')
    },
    finish: () => Promise.reject(new Error('not reached')),
    abort: async () => void aborted++,
  }
  let opened = 0
  const openBlob = async (): Promise<BlobWriter> => {
    // The nonce is written, and nothing after it.
    return opened++ === 0
      ? { ...full, write: async bytes => (bytes.length > 16 ? full.write(bytes) : undefined) }
      : full
  }
  const log = Object.assign(Object.create(storage.log) as typeof storage.log, { openBlob })
  const recordings = recordingsIn({ ...storage, log })
  for (let i = 0; i < 2; i++) {
    const recorder = recordings.recorder('s_1', 'full')
    const writing = async (): Promise<void> => {
      for (let piece = 0; piece < 100; piece++) {
        await recorder.write(body(Buffer.alloc(100_000)))
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    const refused = (error: unknown): boolean =>
      error instanceof GatewayError && error.code === 'recording-unavailable'
    await assert.rejects(writing(), refused)
    await assert.rejects(recorder.seal(), refused)
  }
  assert.equal(aborted, 1)
})

test('past its limit a recording says that it is not complete', async () => {
  const recordings = recordingsIn(openMemoryStorage(), 500_000)
  const recorder = recordings.recorder('s_1', 'full')
  for (let i = 0; i < 10; i++) await recorder.write(body(Buffer.alloc(100_000)))
  const { recording } = (await recorder.seal())!
  assert.equal(recording.complete, false)
  assert.equal((await recordings.read(recording)).length, 5)
})

test('P3: an erased session can be read by nobody, makes no other key, and says when it was erased', async () => {
  const storage = openMemoryStorage()
  const recordings = recordingsIn(storage)
  const recorder = recordings.recorder('s_1', 'full')
  await recorder.write(body(Buffer.from('secret')))
  const { recording, blob } = (await recorder.seal())!
  await storage.log.writeBlob({ hash: recording.blob, bytes: blob! })
  const late = recordings.recorder('s_1', 'full')
  const racing = recordings.recorder('s_2', 'full')
  const [first, second] = await Promise.all([
    recordings.erase('s_1', 'erased'),
    recordings.erase('s_2', 'erased'),
  ])
  assert.deepEqual([first, second], [true, true])
  assert.equal(await recordings.erase('s_1', 'erased'), false)
  for (const read of [recordings.read(recording), recordings.file(recording)])
    await assert.rejects(read, /was erased on/)
  // What was under way is sealed under a key that nobody has any more.
  await late.seal()
  await racing.seal()
  await assert.rejects(recordings.recorder('s_1', 'full').seal(), { code: 'recording-unavailable' })
  assert.deepEqual(
    (await recordings.keys(undefined, 10)).map(each => each.gone),
    ['erased', 'erased'],
  )
})

test('what a crash left of a large recording is gone at the next start', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-recording-'))
  try {
    const storage = await openEmbeddedStorage({ directory })
    const writer = await storage.log.openBlob()
    await writer.write(Buffer.alloc(100_000))
    await storage.close()
    assert.equal((await readdir(join(directory, 'blobs', 'partial'))).length, 1)
    await (await openEmbeddedStorage({ directory })).close()
    assert.deepEqual(await readdir(join(directory, 'blobs')), [])
  } finally {
    await rm(directory, { recursive: true })
  }
})
