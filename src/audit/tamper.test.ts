/**
 * The tamper campaign: a log of some shape, changed in every way that files can be, and judged given an earlier
 * checkpoint. `TAMPER_CAMPAIGN=full` tries every bit of every shape of up to 300 entries, and samples one of 70,000.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fakeStore } from './testing/fake-store.ts'
import { memorySource, publish, readFiles, type RunLog, temporary } from './testing/run-log.ts'
import { verify } from './verify.ts'

type Files = ReadonlyMap<string, Buffer>

/** A log that was changed, how, and the exits that are right for it. */
interface Mutation {
  readonly what: string
  readonly files: Files
  readonly expected: readonly number[]
}

/** How much of a log is tried: each `step`th byte, and all its bits or one. */
interface Effort {
  readonly step: number
  readonly allBits: boolean
}

const numbered = (count: number, mark = '') =>
  Array.from({ length: count }, (_, i) => Buffer.from(`${mark}${i}`))

function* changes(files: Files, { step, allBits }: Effort): Generator<Mutation> {
  for (const [path, bytes] of files) {
    const every = bytes.length < 600 ? 1 : step
    for (let at = 0; at < bytes.length; at += every) {
      for (let bit = allBits ? 0 : at % 8; bit < 8; bit += allBits ? 1 : 8) {
        const copy = Buffer.from(bytes)
        copy[at]! ^= 1 << bit
        yield { what: `${path} byte ${at} bit ${bit}`, files: new Map(files).set(path, copy), expected: [1] }
      }
    }
  }
}

function* wholeFiles(files: Files): Generator<Mutation> {
  for (const [path, bytes] of files) {
    const without = new Map(files)
    without.delete(path)
    const needless = path === 'log.vkey' || path === 'tlog-policy'
    yield { what: `${path} deleted`, files: without, expected: needless ? [0] : [2] }
    const others: [string, Buffer][] = [
      ...[0, 1, bytes.length - 1, bytes.length >> 1].map((cut): [string, Buffer] => [
        `cut to ${cut}`,
        bytes.subarray(0, cut),
      ]),
      ...['\0', '\n', 'x', '\0'.repeat(32)].map((tail): [string, Buffer] => [
        'longer',
        Buffer.concat([bytes, Buffer.from(tail)]),
      ]),
      ['zeroed', Buffer.alloc(bytes.length)],
      ['twice', Buffer.concat([bytes, bytes])],
    ]
    for (const [what, changed] of others) {
      if (changed.equals(bytes)) continue
      yield { what: `${path} ${what}`, files: new Map(files).set(path, changed), expected: [1] }
    }
  }
}

/** Files in each other's place, `most` pairs of them, and hashes and entries in another order. */
function* places(files: Files, most: number): Generator<Mutation> {
  let pairs = 0
  for (const [path, bytes] of files) {
    for (const [other, bytesOther] of files) {
      if (other <= path || bytesOther.equals(bytes) || pairs++ >= most) continue
      yield {
        what: `${path} and ${other}`,
        files: new Map(files).set(path, bytesOther).set(other, bytes),
        expected: [1],
      }
    }
    if (!path.startsWith('tile/') || path.startsWith('tile/entries')) continue
    for (let at = 0; at + 64 <= bytes.length; at += 32 * 16) {
      const [left, right] = [bytes.subarray(at, at + 32), bytes.subarray(at + 32, at + 64)]
      const turned = Buffer.concat([bytes.subarray(0, at), right, left, bytes.subarray(at + 64)])
      yield { what: `${path} reordered at ${at}`, files: new Map(files).set(path, turned), expected: [1] }
    }
  }
}

/** Files of another log of the same key and shape, one and all of them; a head of its own past; a fork. */
function* splices(files: Files, twin: Files, earlier: Files): Generator<Mutation> {
  for (const [path, bytes] of twin) {
    if (!files.get(path)?.equals(bytes))
      yield { what: `${path} of a fork`, files: new Map(files).set(path, bytes), expected: [1] }
  }
  yield { what: 'a fork with the same key', files: twin, expected: [1] }
  yield { what: 'a rollback', files: earlier, expected: [1] }
  yield {
    what: 'the checkpoint of an earlier size',
    files: new Map(files).set('checkpoint', earlier.get('checkpoint')!),
    expected: [1],
  }
}

async function published(
  home: string,
  entries: readonly Buffer[],
  key?: RunLog,
): Promise<RunLog & { readonly files: Files }> {
  const { cp, mkdir } = await import('node:fs/promises')
  await mkdir(home, { recursive: true })
  if (key !== undefined) await cp(join(key.home, 'log.key'), join(home, 'log.key'))
  const log = await publish(home, fakeStore(entries))
  return { ...log, files: await readFiles(log.directory) }
}

const full = process.env['TAMPER_CAMPAIGN'] === 'full'
const shapes: readonly [size: number, effort: Effort][] = full
  ? [
      [1, { step: 1, allBits: true }],
      [255, { step: 1, allBits: true }],
      [256, { step: 1, allBits: true }],
      [257, { step: 1, allBits: true }],
      [300, { step: 1, allBits: true }],
      [70_000, { step: 8191, allBits: false }],
    ]
  : [
      [1, { step: 1, allBits: false }],
      [257, { step: 16, allBits: false }],
      [300, { step: 8, allBits: false }],
    ]

for (const [size, effort] of shapes) {
  test(`P3: tamper campaign over ${size} entries: nothing goes undetected`, async t => {
    const home = await temporary(t)
    const log = await published(join(home, 'log'), numbered(size))
    const twin = await published(join(home, 'twin'), numbered(size, 't'), log)
    const earlier = await published(
      join(home, 'earlier'),
      numbered(size - 1 || 1, size === 1 ? 'e' : ''),
      log,
    )
    const since = [join(home, 'since')]
    await writeFile(since[0]!, log.note)
    const judge = (files: Files) => verify({ vkeys: [log.vkey], since, from: memorySource(files) })
    assert.equal((await judge(log.files)).exit, 0)
    const undetected: string[] = []
    let mutations = 0
    // A log of 274 bundles has 75,000 pairs of files, and each reading of it takes a while.
    const large = log.files.size > 50
    const some = large
      ? new Map([...log.files].filter(([path], i) => i % 40 === 0 || !/tile\/(0|entries)/.test(path)))
      : log.files
    const only = (all: Iterable<Mutation>): Iterable<Mutation> =>
      large ? [...all].map(each => ({ ...each, files: patched(log.files, some, each.files) })) : all
    for (const all of [
      only(changes(some, effort)),
      only(wholeFiles(some)),
      only(places(some, large ? 40 : 1e6)),
    ]) {
      for (const each of all) await attempt(each)
    }
    for (const each of splices(some, large ? pick(twin.files, some) : twin.files, earlier.files)) {
      await attempt(
        large && each.what !== 'a rollback' ? { ...each, files: patched(log.files, some, each.files) } : each,
      )
    }
    assert.deepEqual(undetected, [])
    t.diagnostic(`${size} entries: ${mutations} mutations, 0 undetected`)

    async function attempt({ what, files, expected }: Mutation): Promise<void> {
      mutations++
      const { exit } = await judge(files)
      if (!expected.includes(exit)) undetected.push(`${what}: ${exit}`)
    }
  })
}

/** `files` as they were, but for what became of `some` of them. */
function patched(files: Files, some: Files, changed: Files): Files {
  const all = new Map(files)
  for (const path of some.keys()) if (!changed.has(path)) all.delete(path)
  for (const [path, bytes] of changed) all.set(path, bytes)
  return all
}

function pick(files: Files, paths: Files): Files {
  return new Map([...files].filter(([path]) => paths.has(path)))
}
