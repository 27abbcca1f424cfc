import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { blobOf, entryOf } from '../contract.ts'
import { StorageFaultError, StorageFullError } from '../storage.ts'
import { openEmbeddedStorage } from './storage.ts'

const config = { segment_bytes: 1024 * 1024, reserve_bytes: 64 * 1024 }

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-storage-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

test('everything is there after closing and opening', async t => {
  const directory = scratch(t)
  const blob = blobOf(Buffer.from('small'))
  const large = blobOf(randomBytes(500_000))
  let storage = await openEmbeddedStorage({ directory, config })
  for (let start = 0; start < 3000; start += 100) {
    const entries = Array.from({ length: 100 }, (_, i) => entryOf(start + i, { action: `a${start + i}` }))
    await storage.log.append({ start, entries, blobs: start === 500 ? [blob] : [] })
  }
  await storage.log.writeBlob(large)
  await storage.state.put('s', 'k', 'v', 0)
  await storage.close()
  for (const index of ['kept', 'lost', 'damaged']) {
    const path = join(directory, 'index.db')
    if (index === 'lost') for (const each of ['', '-wal', '-shm']) rmSync(`${path}${each}`, { force: true })
    if (index === 'damaged') writeFileSync(path, randomBytes(statSync(path).size))
    storage = await openEmbeddedStorage({ directory, config })
    assert.equal(storage.log.size, 3000)
    assert.deepEqual(await storage.log.readBlob(blob.hash), blob.bytes, index)
    assert.deepEqual(await storage.log.readBlob(large.hash), large.bytes)
    assert.equal((await storage.state.get('s', 'k'))?.value, 'v')
    await storage.index.whenIndexed(3000)
    const { entries } = await storage.index.search({ limit: 10, action: 'a1234' })
    assert.deepEqual(
      entries.map(each => each.index),
      [1234],
      index,
    )
    await storage.close()
  }
})

test('P3: a damaged blob is a fault and never an answer', async t => {
  const directory = scratch(t)
  const storage = await openEmbeddedStorage({ directory, config })
  t.after(() => storage.close())
  const blob = blobOf(randomBytes(5000))
  await storage.log.writeBlob(blob)
  const digest = blob.hash.slice(7)
  const path = join(directory, 'blobs', digest.slice(0, 2), digest)
  const bytes = readFileSync(path)
  bytes[17]! ^= 1
  writeFileSync(path, bytes)
  await assert.rejects(storage.log.readBlob(blob.hash), StorageFaultError)
})

test('the name of a blob can not lead out of its directory', async t => {
  const storage = await openEmbeddedStorage({ directory: scratch(t), config })
  t.after(() => storage.close())
  for (const hash of ['sha256:../../x', '../x', `sha256:${'a'.repeat(63)}/`, `sha256:${'A'.repeat(64)}`]) {
    const blob = { hash, bytes: Buffer.from('x') }
    await assert.rejects(storage.log.writeBlob(blob), TypeError)
    await assert.rejects(storage.log.readBlob(hash), TypeError)
    await assert.rejects(
      storage.log.append({ start: 0, entries: [Buffer.from('a')], blobs: [blob] }),
      TypeError,
    )
  }
})

test('what was deleted from state is in no file of the store', async t => {
  const directory = scratch(t)
  const storage = await openEmbeddedStorage({ directory, config })
  t.after(() => storage.close())
  const secrets = new Map<string, string>()
  for (let i = 0; i < 120; i++) {
    const value = randomBytes(20 + ((i * 97) % 3000)).toString('hex')
    secrets.set(`k${(i * 7919) % 120}`, value)
  }
  for (const [key, value] of secrets) await storage.state.put('keys', key, value, 0)
  for (const [key, value] of secrets)
    if (value.length % 3 === 0) await storage.state.put('keys', key, `${value}!`, 1)
  for (const [i, key] of [...secrets.keys()].entries())
    if (i % 2 === 0) await storage.state.delete('keys', key)
  const files = readdirSync(directory).filter(name => name.startsWith('state.db'))
  const bytes = Buffer.concat(files.map(name => readFileSync(join(directory, name))))
  for (const [i, value] of [...secrets.values()].entries()) {
    if (i % 2 === 0) assert.ok(!bytes.includes(value.slice(0, 32)), `value ${i} is still there`)
  }
  assert.equal((await storage.state.list('keys')).length, 60)
})

test('a journal that is damaged is not opened, and the lock is let go', async t => {
  const directory = scratch(t)
  const storage = await openEmbeddedStorage({ directory, config })
  for (let i = 0; i < 3; i++) await storage.log.append({ start: i, entries: [entryOf(i)], blobs: [] })
  await storage.close()
  const path = join(directory, 'journal', '00000001.seg')
  const whole = readFileSync(path)
  const harmed = Buffer.from(whole)
  harmed[70]! ^= 4
  writeFileSync(path, harmed)
  const message = 'journal/00000001.seg: damaged at offset 64: a whole frame follows'
  await assert.rejects(openEmbeddedStorage({ directory }), (error: unknown) => {
    assert.ok(error instanceof StorageFaultError && error.message.startsWith(message), String(error))
    return true
  })
  writeFileSync(path, whole)
  const again = await openEmbeddedStorage({ directory })
  assert.equal(again.log.size, 3)
  await again.close()
})

test('an index that cannot follow answers with what it has, and who waits for more is told at the end', async t => {
  const directory = scratch(t)
  const storage = await openEmbeddedStorage({ directory, config })
  t.after(() => storage.close())
  // The journal's thread has the file open; the index does not yet.
  rmSync(join(directory, 'journal', '00000001.seg'))
  await storage.log.append({ start: 0, entries: [entryOf(0)], blobs: [] })
  const waits = assert.rejects(storage.index.whenIndexed(1), /closed/)
  const { entries, indexed } = await storage.index.search({ limit: 1 })
  assert.deepEqual([entries, indexed], [[], 0])
  await storage.close()
  await waits
})

test('after closing every call is refused', async t => {
  const storage = await openEmbeddedStorage({ directory: scratch(t), config })
  await storage.close()
  await storage.close()
  await assert.rejects(storage.log.append({ start: 0, entries: [entryOf(0)], blobs: [] }), StorageFaultError)
  await assert.rejects(storage.log.read(0, 1), StorageFaultError)
  await assert.rejects(storage.state.get('a', 'b'), StorageFaultError)
  await assert.rejects(storage.index.search({ limit: 1 }), StorageFaultError)
})

test('P1, P2: a disk that fills: refused, the ends still fit, and it goes on when room returns', async t => {
  const directory = scratch(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', directory], { stdio: 'ignore' })
  } catch {
    t.skip('SKIPPED: no right to mount a small disk here')
    return
  }
  try {
    const storage = await openEmbeddedStorage({ directory })
    const { log } = storage
    const append = (urgent: boolean) =>
      log.append({ start: log.size, entries: [Buffer.alloc(8000, 'x')], blobs: [] }, { urgent })
    await append(false)
    const ballast = join(directory, 'ballast')
    try {
      writeFileSync(ballast, Buffer.alloc(16 * 1024 * 1024))
    } catch {
      // Full: that is the point.
    }
    assert.equal((await storage.diskSpace()).freeBytes, 0)
    await assert.rejects(async () => {
      for (;;) await append(false)
    }, StorageFullError)
    const size = log.size
    for (let i = 0; i < 50; i++) await append(true)
    await assert.rejects(append(false), StorageFullError)
    await assert.rejects(log.writeBlob(blobOf(randomBytes(300_000))), StorageFullError)
    assert.equal(log.size, size + 50)
    rmSync(ballast)
    await append(false)
    await log.writeBlob(blobOf(randomBytes(300_000)))
    await storage.close()
    const again = await openEmbeddedStorage({ directory })
    assert.equal(again.log.size, size + 51)
    await again.close()
  } finally {
    execFileSync('umount', ['-l', directory])
  }
})
