import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StorageFaultError, StorageFullError } from '../storage.ts'
import { JournalWriter } from './journal-writer.ts'
import { type FaultyFiles, faultyFiles } from './testing/faulty-files.ts'
import { batchOf, frameOf, openJournal, reopen, scratch, small } from './testing/journals.ts'

/** Appends of several sizes over several segments, as far as they go. Returns what was acknowledged and attempted. */
function work(directory: string, files: FaultyFiles) {
  const acknowledged: string[] = []
  const attempted: string[] = []
  const refused: unknown[] = []
  let writer: JournalWriter
  try {
    writer = openJournal(directory, files)
  } catch (error) {
    return { acknowledged, attempted, refused: [error] }
  }
  for (let i = 0; i < 12; i++) {
    const texts = Array.from({ length: 1 + (i % 3) }, (_, k) => `${i}.${k} ${'x'.repeat(i * 1500)}`)
    try {
      writer.append(frameOf(batchOf(acknowledged.length, ...texts)), false)
      acknowledged.push(...texts)
      if (refused.length > 0 && !(refused[0] instanceof StorageFullError))
        assert.fail('appended after a fault')
    } catch (error) {
      refused.push(error)
    }
    attempted.push(...texts)
    writer.prepare()
  }
  writer.close()
  return { acknowledged, attempted, refused }
}

for (const [code, kind] of [
  ['EIO', StorageFaultError],
  ['ENOSPC', StorageFullError],
  ['EDQUOT', StorageFullError],
] as const) {
  test(`P1: ${code} at each call: acknowledged is kept, and nothing is made up`, async t => {
    const clean = faultyFiles()
    work(scratch(t), clean)
    assert.ok(clean.calls.length > 40)
    for (let at = 0; at < clean.calls.length; at++) {
      for (const short of clean.calls[at] === 'write' ? [0, 50] : [0]) {
        const directory = scratch(t)
        const files = faultyFiles()
        files.fault = { at, code, short }
        const { acknowledged, attempted, refused } = work(directory, files)
        const title = `${code} at call ${at} (${clean.calls[at]}), ${short} bytes`
        for (const error of refused) {
          const raw = error instanceof Error && 'code' in error && error.code === code
          assert.ok(error instanceof kind || raw, `${title}: ${String(error)}`)
        }
        // A space that came back is used again; any other fault is the end.
        if (kind === StorageFullError) assert.ok(refused.length <= 1, title)
        const found = await reopen(directory)
        assert.deepEqual(found.slice(0, acknowledged.length), acknowledged, title)
        for (const each of found) assert.ok(attempted.includes(each), title)
      }
    }
  })
}

for (const code of ['EINTR', 'SHORT']) {
  test(`${code} at each call changes nothing`, async t => {
    const clean = faultyFiles()
    const { acknowledged } = work(scratch(t), clean)
    for (let at = 0; at < clean.calls.length; at++) {
      if (clean.calls[at] !== 'write' && (code === 'SHORT' || clean.calls[at] !== 'datasync')) continue
      const directory = scratch(t)
      const files = faultyFiles()
      files.fault = { at, code }
      assert.deepEqual(work(directory, files).acknowledged, acknowledged)
      assert.deepEqual(await reopen(directory), acknowledged)
    }
  })
}

test('P1: a failed sync is never tried again', t => {
  const files = faultyFiles()
  const writer = openJournal(scratch(t), files)
  writer.append(frameOf(batchOf(0, 'a')), false)
  files.fault = { at: files.calls.length + 1, code: 'EIO' }
  assert.throws(() => writer.append(frameOf(batchOf(1, 'b')), false), StorageFaultError)
  const calls = files.calls.length
  assert.throws(() => writer.append(frameOf(batchOf(1, 'b')), false), StorageFaultError)
  assert.equal(writer.prepare(), false)
  assert.equal(files.calls.length, calls)
  writer.close()
})

test('P2: on a full disk the reserve is for urgent batches alone, and what returns is used', async t => {
  const directory = scratch(t)
  const files = faultyFiles()
  const writer = new JournalWriter({ directory, ...small, reserveBytes: 32 * 1024, files })
  const kept: string[] = []
  const append = (urgent: boolean): void => {
    const text = `${kept.length} ${'x'.repeat(1000)}`
    writer.append(frameOf(batchOf(kept.length, text)), urgent)
    kept.push(text)
  }
  // From here no file grows and none is made, but what was taken before can be written.
  const full: FaultyFiles['write'] = (fd, bytes, position) => {
    if (position + bytes.length <= files.size(fd)) return write(fd, bytes, position)
    throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  }
  const { write } = files
  files.write = full
  assert.throws(() => {
    for (;;) append(false)
  }, StorageFullError)
  const plain = kept.length
  for (let i = 0; i < 20; i++) append(true)
  assert.throws(() => append(false), StorageFullError)
  assert.throws(() => {
    for (;;) append(true)
  }, StorageFullError)
  assert.ok(kept.length >= plain + 25, 'the reserve took too little')
  files.write = write
  append(false)
  append(true)
  writer.close()
  assert.deepEqual(await reopen(directory), kept)
})
