import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { StorageFaultError } from '../storage/storage.ts'
import { openCheckpointer, type CheckpointerOptions, LogAlarm } from './checkpoint.ts'
import { tilePath } from './tiles.ts'
import { type FakeStore, fakeStore } from './testing/fake-store.ts'
import { leafHash, rootOf } from './tree.ts'
import { origin } from './testing/samples.ts'

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => Buffer.from(`{"seq":"${from + i}"}`))

async function place(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-log-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

function optionsFor(home: string, store: FakeStore): CheckpointerOptions & { readonly alarms: Error[] } {
  const alarms: Error[] = []
  const onAlarm = (error: Error): void => void alarms.push(error)
  const keyFiles = [join(home, 'log.key')]
  return { store, origin, directory: join(home, 'log'), keyFiles, every: 1e6, scrub: 0, onAlarm, alarms }
}

async function rootBase64(entries: readonly Buffer[]): Promise<string> {
  const { nodeHash } = await import('./tree.ts')
  const mth = (from: number, to: number): Buffer => {
    if (to - from === 1) return leafHash(entries[from]!)
    const middle = from + (to - from) / 2
    return nodeHash(mth(from, middle), mth(middle, to))
  }
  const root = await rootOf(entries.length, async ({ level, index }) =>
    mth(index * 2 ** level, (index + 1) * 2 ** level),
  )
  return root.toString('base64')
}

test('P3: tiles, bundles and a signed head, grown step by step and over restarts', async t => {
  const home = await place(t)
  const store = fakeStore()
  const options = optionsFor(home, store)
  for (const size of [1, 2, 255, 256, 257, 600, 1024]) {
    store.entries.push(...numbered(store.size, size))
    const checkpointer = await openCheckpointer(options)
    const head = await checkpointer.publish()
    assert.equal(head.size, size)
    assert.equal(head.root, await rootBase64(store.entries))
    assert.equal(await readFile(join(options.directory, 'checkpoint'), 'utf8'), head.note)
    assert.equal(await checkpointer.scrub(), size)
    await checkpointer.close()
  }
  assert.equal((await stat(join(options.directory, tilePath(0, 3)))).size, 8192)
  assert.equal((await stat(join(options.directory, tilePath(1, 0, 4)))).size, 128)
  await assert.rejects(stat(join(options.directory, `${tilePath(0, 0)}.p`)))
  assert.equal((await stat(join(home, 'log.key'))).mode & 0o777, 0o600)
  assert.deepEqual(options.alarms, [])
})

test('P3: a tree of three levels', async t => {
  const home = await place(t)
  const store = fakeStore(numbered(0, 66_000))
  const options = optionsFor(home, store)
  const checkpointer = await openCheckpointer(options)
  assert.deepEqual(checkpointer.created, checkpointer.vkeys)
  assert.deepEqual(await checkpointer.catchUp(), { size: 66_000, root: await rootBase64(store.entries) })
  const { root } = await checkpointer.publish()
  assert.equal(root, await rootBase64(store.entries))
  await checkpointer.close()
  const again = await openCheckpointer(options)
  assert.deepEqual(again.created, [])
  assert.equal(again.head?.root, root)
  await again.close()
  assert.match(
    await readFile(join(options.directory, 'tlog-policy'), 'utf8'),
    /^log audit\.example\.com\/gateway\/1\+[0-9a-f]{8}\+A\S{43}\nquorum none\n$/,
  )
})

test('P3: growth is published by itself', async t => {
  const home = await place(t)
  const store = fakeStore(numbered(0, 3))
  const published = Promise.withResolvers<number>()
  const checkpointer = await openCheckpointer({
    ...optionsFor(home, store),
    delay: 1,
    onPublished: head => published.resolve(head.size),
  })
  checkpointer.grew()
  assert.equal(await published.promise, 3)
  await checkpointer.close()
})

test('P3: a log that goes on growing has fewer heads, each within a second of growth', async t => {
  const store = fakeStore(numbered(0, 1))
  const heads: number[] = []
  const onPublished = ({ size }: { size: number }): void => void heads.push(size)
  const checkpointer = await openCheckpointer({ ...optionsFor(await place(t), store), onPublished })
  let now = 0
  t.mock.method(performance, 'now', () => now)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const headsAfter = async (ms: number): Promise<number[]> => {
    now += ms
    t.mock.timers.tick(ms)
    await checkpointer.catchUp()
    return heads
  }
  const grow = (): void => {
    store.entries.push(...numbered(store.size, store.size + 1))
    checkpointer.grew()
  }
  grow()
  assert.deepEqual(await headsAfter(249), [])
  assert.deepEqual(await headsAfter(1), [2])
  grow()
  grow()
  assert.deepEqual(await headsAfter(749), [2])
  assert.deepEqual(await headsAfter(1), [2, 4])
  assert.deepEqual(await headsAfter(10_000), [2, 4])
  grow()
  assert.deepEqual(await headsAfter(250), [2, 4, 5])
  await checkpointer.close()
})

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[at]! ^= 1
  await writeFile(path, bytes)
}

const damages: Record<string, (directory: string, store: FakeStore) => Promise<unknown>> = {
  'a committed entry of the last bundle': async (_, store) =>
    void (store.entries[590] = Buffer.from('{"seq":"0"}')),
  'a shorter store': async (_, store) => store.entries.pop(),
  'a leaf tile': directory => flip(join(directory, tilePath(0, 2, 88)), 40),
  'an inner tile': directory => flip(join(directory, tilePath(1, 0, 2)), 5),
  'a bundle': directory => flip(join(directory, tilePath('entries', 2, 88)), 11),
  'the checkpoint': directory => flip(join(directory, 'checkpoint'), 80),
  'a shorter store whose checkpoint is gone': async (directory, store) => {
    store.entries.length = 20
    await rm(join(directory, 'checkpoint'))
  },
  'a log rolled back with its checkpoint': async (directory, store) => {
    store.entries.length = 300
    await rm(directory, { recursive: true })
  },
  'a lost tile': directory => rm(join(directory, tilePath(0, 2, 88))),
}

for (const [what, damage] of Object.entries(damages)) {
  test(`P3: never signed over at a start: ${what}`, async t => {
    const home = await place(t)
    const store = fakeStore(numbered(0, 600))
    const options = optionsFor(home, store)
    const first = await openCheckpointer(options)
    await first.publish()
    await first.close()
    const before = await readFile(join(options.directory, 'checkpoint'))
    await damage(options.directory, store)
    const checkpoint = () => readFile(join(options.directory, 'checkpoint')).catch(() => undefined)
    const damaged = await checkpoint()
    await assert.rejects(openCheckpointer(options), LogAlarm)
    assert.equal(options.alarms.length, 1)
    assert.deepEqual(await checkpoint(), damaged)
    if (damaged !== undefined && what !== 'the checkpoint') assert.deepEqual(damaged, before)
  })
}

test('P3: never signed over while running: old entries and old tiles', async t => {
  const home = await place(t)
  const store = fakeStore(numbered(0, 600))
  const options = optionsFor(home, store)
  const checkpointer = await openCheckpointer(options)
  await checkpointer.publish()
  store.entries[7] = Buffer.from('{"seq":"changed"}')
  await assert.rejects(checkpointer.scrub(), LogAlarm)
  store.entries.push(...numbered(600, 700))
  await assert.rejects(checkpointer.publish(), LogAlarm)
  assert.equal(checkpointer.trusted, false)
  assert.equal(options.alarms.length, 1)
  await checkpointer.close()
  store.entries[7] = Buffer.from('{"seq":"7"}')
  const other = await openCheckpointer({ ...options, onAlarm: error => options.alarms.push(error) })
  await other.publish()
  await flip(join(options.directory, tilePath(0, 1)), 40)
  await assert.rejects(other.scrub(), LogAlarm)
  assert.equal(options.alarms.length, 2)
  await other.close()
})

test('P3: a committed entry that changed is found at the next head, or on the next round', async t => {
  for (const index of [590, 7]) {
    const home = await place(t)
    const store = fakeStore(numbered(0, 600))
    const alarm = Promise.withResolvers<Error>()
    const options = { ...optionsFor(home, store), every: index === 7 ? 2 : 1e6, onAlarm: alarm.resolve }
    const checkpointer = await openCheckpointer(options)
    await checkpointer.publish()
    store.entries[index] = Buffer.from('{"seq":"changed"}')
    if (index === 590) {
      store.entries.push(Buffer.from('{"seq":"600"}'))
      await assert.rejects(checkpointer.publish(), LogAlarm)
    }
    assert.match((await alarm.promise).message, new RegExp(`entry ${index} is not what was integrated`))
    await checkpointer.close()
    const head = await readFile(join(options.directory, 'checkpoint'), 'utf8')
    assert.equal(head.split('\n')[1], '600')
  }
})

test('a head that cannot be written is no alarm: it is tried again from the last signed one', async t => {
  const home = await place(t)
  const store = fakeStore(numbered(0, 300))
  const failures: Error[] = []
  const options = { ...optionsFor(home, store), onFailure: (error: Error) => failures.push(error) }
  const checkpointer = await openCheckpointer(options)
  const tile = join(options.directory, 'tile')
  await writeFile(tile, 'in the way')
  await assert.rejects(checkpointer.publish())
  assert.equal(checkpointer.trusted, true)
  await rm(tile)
  assert.equal((await checkpointer.publish()).root, await rootBase64(store.entries))
  store.entries.push(...numbered(300, 320))
  const inTheWay = join(options.directory, 'checkpoint.tmp')
  await mkdir(inTheWay)
  await assert.rejects(checkpointer.publish())
  await rm(inTheWay, { recursive: true })
  assert.equal((await checkpointer.publish()).root, await rootBase64(store.entries))
  assert.equal(await checkpointer.scrub(), 320)
  await checkpointer.close()
  assert.deepEqual([options.alarms, failures], [[], []])
})

test('P3: damage that the store itself finds is an alarm; a read that merely failed is not', async t => {
  const home = await place(t)
  const store = fakeStore(numbered(0, 10))
  const options = optionsFor(home, store)
  const checkpointer = await openCheckpointer(options)
  const { read } = store
  store.read = () => Promise.reject(new Error('too many open files'))
  await assert.rejects(checkpointer.publish(), /too many/)
  assert.equal(checkpointer.trusted, true)
  store.read = () => Promise.reject(new StorageFaultError('a checksum does not hold'))
  await assert.rejects(checkpointer.publish(), LogAlarm)
  assert.equal(options.alarms.length, 1)
  store.read = read
  await assert.rejects(checkpointer.publish(), LogAlarm)
  await checkpointer.close()
})

test('a checkpoint that is only lost is published again from the head kept beside the key', async t => {
  const home = await place(t)
  const store = fakeStore(numbered(0, 300))
  const options = optionsFor(home, store)
  const first = await openCheckpointer(options)
  const { note } = await first.publish()
  await first.close()
  await rm(join(options.directory, 'checkpoint'))
  const again = await openCheckpointer(options)
  assert.equal((await again.publish()).note, note)
  await again.close()
})

test('P3: the head of another log or of another key is not continued', async t => {
  const home = await place(t)
  const store = fakeStore(numbered(0, 3))
  const options = optionsFor(home, store)
  const first = await openCheckpointer(options)
  await first.close()
  await assert.rejects(openCheckpointer({ ...options, origin: 'other.example.com' }), LogAlarm)
  await assert.rejects(openCheckpointer({ ...options, keyFiles: [join(home, 'other.key')] }), LogAlarm)
  const rotated = await openCheckpointer({
    ...options,
    keyFiles: [join(home, 'other.key'), ...options.keyFiles],
  })
  const { note } = await rotated.publish()
  assert.equal(note.match(/^\u2014 /gm)?.length, 2)
  await rotated.close()
})
