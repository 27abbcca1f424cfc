/** Old files of the log are removed: what is kept reads as before, through a restart and through an interruption. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { blobOf, entryOf } from '../contract.ts'
import { EntriesPrunedError, StorageFaultError } from '../storage.ts'
import { type EmbeddedStorage, openEmbeddedStorage } from './storage.ts'

const config = { segment_bytes: 64 * 1024, reserve_bytes: 4 * 1024 }

interface Opened {
  readonly directory: string
  readonly open: (checkSegments?: number) => Promise<EmbeddedStorage>
}

async function prepare(t: TestContext): Promise<Opened> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-prune-'))
  const open: EmbeddedStorage[] = []
  t.after(async () => {
    for (const each of open) await each.close()
    await rm(directory, { recursive: true })
  })
  return {
    directory,
    open: async (checkSegments = 2) => {
      const storage = await openEmbeddedStorage({ directory, config, checkSegments })
      open.push(storage)
      return storage
    },
  }
}

const nameOf = (seq: number): string => `person-${seq}@example.com`

/** Appends entries of about a kilobyte, each with somebody of its own, until the journal has some files. */
async function fill(storage: EmbeddedStorage, count = 400): Promise<void> {
  while (storage.log.size < count) {
    const start = storage.log.size
    const entries = Array.from({ length: 10 }, (_, i) =>
      entryOf(start + i, { subject: { id: nameOf(start + i) }, pad: 'x'.repeat(900) }),
    )
    await storage.log.append({ start, entries, blobs: [blobOf(Buffer.from(`blob of ${start}`))] })
  }
  await storage.index.whenIndexed(count)
}

async function checkKept({ log, index }: EmbeddedStorage, first: number): Promise<void> {
  assert.equal(log.first, first)
  for (const from of [0, first - 1])
    await assert.rejects(log.read(from, 1), (error: Error) => error instanceof EntriesPrunedError)
  let seq = first
  while (seq < log.size)
    for (const entry of await log.read(seq, 100))
      assert.equal(JSON.parse(entry.toString()).seq, String(seq++))
  assert.equal(seq, log.size)
  await index.whenIndexed(log.size)
  const page = await index.search({ limit: 1 })
  assert.equal(page.entries[0]?.index, first)
  assert.equal((await index.search({ limit: 1, identity: nameOf(first - 1) })).entries.length, 0)
  assert.equal((await index.search({ limit: 1, text: `person ${first - 1}` })).entries.length, 0)
  assert.equal((await index.search({ limit: 1, identity: nameOf(first) })).entries.length, 1)
  assert.equal((await index.search({ limit: 1, text: `person ${first}` })).entries[0]?.index, first)
  assert.equal(await log.readBlob(blobOf(Buffer.from('blob of 0')).hash), undefined)
  const last = blobOf(Buffer.from(`blob of ${log.size - 10}`))
  assert.deepEqual(await log.readBlob(last.hash), last.bytes)
}

async function prune(storage: EmbeddedStorage, below: number): Promise<number> {
  const first = storage.log.prunableTo(below)
  await storage.index.prune(first)
  await storage.log.prune(first)
  return first
}

test('whole old files go; the rest reads, is found, grows and opens again', async t => {
  const { directory, open } = await prepare(t)
  const storage = await open()
  await fill(storage)
  const { size } = storage.log
  assert.equal(storage.log.prunableTo(10), 0)
  const first = await prune(storage, 300)
  assert.ok(first > 100 && first <= 300, `${first}`)
  await checkKept(storage, first)
  await fill(storage, size + 100)
  await checkKept(storage, first)
  await storage.close()
  for (const checkSegments of [1, 100]) {
    const again = await open(checkSegments)
    assert.equal(again.log.size, size + 100)
    await checkKept(again, first)
    await again.close()
  }
  // The index is derived: built again from what is left, it says the same.
  await rm(join(directory, 'index.db'))
  const rebuilt = await open()
  await checkKept(rebuilt, first)
  const further = await prune(rebuilt, size)
  assert.ok(further > first)
  await checkKept(rebuilt, further)
  await rebuilt.close()
  await checkKept(await open(), further)
})

test('no file of the store holds a word of what was removed', async t => {
  const { directory, open } = await prepare(t)
  const storage = await open()
  await fill(storage)
  const first = await prune(storage, 300)
  await storage.close()
  const words = [nameOf(0), nameOf(first - 1)]
  for (const each of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!each.isFile()) continue
    const bytes = await readFile(join(each.parentPath, each.name))
    for (const word of words) assert.ok(!bytes.includes(`"${word}"`), `${each.name} holds ${word}`)
    for (const word of words) if (each.name === 'index.db') assert.ok(!bytes.includes(word), word)
  }
})

test('an interrupted removal is finished by the next start', async t => {
  const { directory, open } = await prepare(t)
  const storage = await open()
  await fill(storage)
  const first = storage.log.prunableTo(300)
  await storage.index.prune(first)
  const journal = join(directory, 'journal')
  const before = await readdir(journal)
  await storage.log.prune(first)
  const gone = before.filter(name => name.endsWith('.seg')).toSorted()
  await storage.close()
  // One of the old files is still there, as after a crash between two removals.
  const floor = (await readdir(journal)).find(name => name.endsWith('.first'))!
  const left = gone.filter(name => name < floor).at(-1)!
  await writeFile(join(journal, left), 'what a crash left')
  await checkKept(await open(), first)
  assert.ok(!(await readdir(journal)).includes(left))
})

test('P3: a first file that is missing without a word is damage', async t => {
  const { directory, open } = await prepare(t)
  const storage = await open()
  await fill(storage)
  await storage.close()
  const journal = join(directory, 'journal')
  await rename(join(journal, '00000001.seg'), join(directory, 'kept'))
  await assert.rejects(
    open(),
    (error: Error) => error instanceof StorageFaultError && /00000001/.test(error.message),
  )
  await rename(join(directory, 'kept'), join(journal, '00000001.seg'))
  await open()
})

test('only where a file begins', async t => {
  const { open } = await prepare(t)
  const storage = await open()
  await fill(storage)
  await assert.rejects(storage.log.prune(storage.log.prunableTo(300) + 1), TypeError)
  assert.equal(storage.log.first, 0)
})
