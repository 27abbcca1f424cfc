import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { StorageFaultError } from '../storage.ts'
import { segmentName } from './segment.ts'
import { batchOf, frameOf, openJournal, reopen, scratch } from './testing/journals.ts'

/** Five batches; returns the offset of each in the first segment, and the end. */
function fill(directory: string): { texts: string[][]; offsets: number[] } {
  const writer = openJournal(directory)
  const texts = [['a'], ['bb', 'cc'], ['d'.repeat(40)], ['e'], ['last', 'of', 'all']]
  const offsets: number[] = []
  let start = 0
  let end = 0
  for (const each of texts) {
    const frame = frameOf(batchOf(start, ...each))
    offsets.push(writer.append(frame, false).offset)
    end = offsets.at(-1)! + frame.length
    start += each.length
  }
  writer.close()
  return { texts, offsets: [...offsets, end] }
}

test('P1: cut at any byte, the journal opens with every batch that is whole', async t => {
  const directory = scratch(t)
  const { texts, offsets } = fill(directory)
  const path = join(directory, segmentName(1))
  const whole = readFileSync(path)
  for (let cut = offsets[0]!; cut <= offsets.at(-1)!; cut++) {
    writeFileSync(path, whole.subarray(0, cut))
    const found = await reopen(directory)
    const certain = texts.filter((_, i) => offsets[i + 1]! <= cut)
    // The padding after a frame is no loss, so a cut within it keeps the frame.
    assert.ok(found.length >= certain.flat().length, `cut at ${cut}`)
    assert.ok(
      found.length <= certain.flat().length + 3 &&
        (cut < offsets.at(-1)! - 8 ? found.length < texts.flat().length : true),
    )
    assert.deepEqual(found, texts.flat().slice(0, found.length))
  }
})

test('P1: with its last write torn anywhere, the journal opens, cuts it, and goes on', async t => {
  const directory = scratch(t)
  const { texts, offsets } = fill(directory)
  const path = join(directory, segmentName(1))
  const whole = readFileSync(path)
  const [from, to] = offsets.slice(-2) as [number, number]
  for (let torn = from; torn < to; torn += 3) {
    for (const keepTail of [false, true]) {
      const bytes = Buffer.from(whole)
      if (keepTail) bytes.fill(0, from, torn)
      else bytes.fill(0, torn, to)
      writeFileSync(path, bytes)
      const found = await reopen(directory)
      if (found.length === texts.flat().length) continue
      assert.deepEqual(found, texts.slice(0, -1).flat())
      const writer = openJournal(directory)
      writer.append(frameOf(batchOf(found.length, 'x')), false)
      writer.close()
      assert.deepEqual(await reopen(directory), [...found, 'x'])
    }
  }
})

test('P3: a bit that flipped before the last batch is a fault that names file and offset', async t => {
  const directory = scratch(t)
  const { texts, offsets } = fill(directory)
  const path = join(directory, segmentName(1))
  const whole = readFileSync(path)
  const end = offsets.at(-2)!
  for (let bit = 0; bit < end * 8; bit++) {
    const bytes = Buffer.from(whole)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    writeFileSync(path, bytes)
    try {
      // The unused rest of the file's header and the padding between frames carry nothing.
      assert.deepEqual(await reopen(directory), texts.flat(), `bit ${bit}`)
    } catch (error) {
      assert.ok(error instanceof StorageFaultError, `bit ${bit}: ${String(error)}`)
      assert.match(error.message, /^journal\/00000001\.seg: damaged at offset \d+: /)
      const offset = Number(/offset (\d+)/.exec(error.message)![1])
      assert.ok(offset <= bit >> 3, `bit ${bit} reported at ${offset}`)
    }
    assert.ok(readFileSync(path).equals(bytes), 'a damaged journal was changed')
  }
})

test('a segment that is missing, cut short or exchanged is a fault', async t => {
  const directory = scratch(t)
  const writer = openJournal(directory)
  let start = 0
  for (let i = 0; i < 300; i++) writer.append(frameOf(batchOf(start++, 'x'.repeat(1000))), false)
  writer.close()
  assert.equal((await reopen(directory)).length, 300)
  const copy = join(scratch(t), 'copy')
  const damaged = async (harm: (name: (segment: number) => string) => void): Promise<void> => {
    cpSync(directory, copy, { recursive: true })
    harm(segment => join(copy, segmentName(segment)))
    await assert.rejects(reopen(copy), StorageFaultError)
    rmSync(copy, { recursive: true })
  }
  await damaged(name => rmSync(name(2)))
  await damaged(name => truncateSync(name(2), 5000))
  await damaged(name => truncateSync(name(2), 10))
  await damaged(name => cpSync(name(2), name(3)))
  await damaged(name => writeFileSync(name(3), Buffer.alloc(64 * 1024)))
})

test('segments of another journal do not pass', async t => {
  const [one, two] = [scratch(t), scratch(t)]
  for (const directory of [one, two]) {
    const writer = openJournal(directory)
    for (let i = 0; i < 200; i++) writer.append(frameOf(batchOf(i, 'x'.repeat(1000))), false)
    writer.close()
  }
  cpSync(join(two, segmentName(2)), join(one, segmentName(2)))
  await assert.rejects(reopen(one), /another journal/)
})

test('a segment that a crash left half made is made again', async t => {
  const directory = scratch(t)
  const { texts } = fill(directory)
  for (const left of [Buffer.alloc(0), Buffer.alloc(10), Buffer.alloc(5000)]) {
    writeFileSync(join(directory, segmentName(2)), left)
    assert.deepEqual(await reopen(directory), texts.flat())
  }
})
