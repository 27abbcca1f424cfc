import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { signNote } from '../audit/note.ts'
import { emptyRoot, growthHolds } from '../audit/verify/merkle.ts'
import { parseNote, parseVerifierKey, signedBy } from '../audit/verify/signed-note.ts'
import { type Cosigner, cosigner } from './cosigner.ts'
import { formatSubmission } from './submission.ts'
import { SampleLog } from './testing/sample-log.ts'
import { openWitnessStore, type WitnessStore } from './witness-store.ts'
import { hashOrigin, Witness } from './witness.ts'

const origin = 'log.example.com/1'
const key = generateKeyPairSync('ed25519').privateKey

async function place(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-witness-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

function open(directory: string, logs: readonly SampleLog[], now?: () => number): Witness {
  const own: Cosigner = cosigner('witness.example.com', key)
  const store = openWitnessStore(directory, parseVerifierKey(own.vkey))
  const keys = logs.map(({ signer }) => parseVerifierKey(signer.vkey))
  return new Witness({ cosigner: own, logs: keys, store, ...(now && { now }) })
}

async function submit(witness: Witness, log: SampleLog, [old, size]: readonly [number, number]) {
  const proof = old <= size ? await log.proof(old, size) : []
  return witness.add(Buffer.from(formatSubmission(old, proof, await log.note(size))))
}

test('P3: it cosigns growth from nothing, step by step, and the same head again', async t => {
  const log = new SampleLog(origin, 300)
  const witness = open(await place(t), [log], () => 1_700_000_000)
  let old = 0
  for (const size of [1, 2, 3, 4, 7, 8, 8, 255, 256, 257, 300, 300]) {
    const { status, body } = await submit(witness, log, [old, size])
    assert.equal(status, 200, `${old} to ${size}`)
    const note = parseNote(Buffer.from((await log.note(size)) + body))!
    assert.equal(signedBy(note, parseVerifierKey(witness.cosigner.vkey)), true)
    assert.equal(note.signatures.at(-1)!.signature.readBigUInt64BE(), 1_700_000_000n)
    assert.equal(witness.checkpoint(hashOrigin(origin)), (await log.note(size)) + body)
    old = size
  }
})

test('P3: each status of tlog-witness: 400, 403, 404, 409 with its size, 422', async t => {
  const log = new SampleLog(origin, 40)
  const witness = open(await place(t), [log])
  assert.equal((await submit(witness, log, [0, 20])).status, 200)
  const add = (text: string) => witness.add(Buffer.from(text))

  assert.equal((await submit(witness, new SampleLog('other.example.com', 3), [0, 3])).status, 404)
  assert.equal((await submit(witness, new SampleLog(origin, 30), [20, 30])).status, 403)
  assert.equal((await submit(witness, log, [31, 30])).status, 400)
  for (const [old, size] of [
    [0, 30],
    [19, 30],
    [21, 30],
  ] as const) {
    assert.deepEqual(await submit(witness, log, [old, size]), {
      status: 409,
      type: 'text/x.tlog.size',
      body: '20\n',
    })
  }
  // A rollback: the client says what the witness knows, or admits to less; neither gets a signature.
  assert.equal((await submit(witness, log, [20, 10])).status, 400)
  assert.equal((await submit(witness, log, [10, 10])).status, 409)

  const twin = new SampleLog(origin, 40)
  Object.assign(twin, { signer: log.signer })
  twin.leaves[7] = Buffer.from('rewritten')
  assert.equal((await submit(witness, twin, [20, 30])).status, 422)
  assert.equal((await submit(witness, twin, [20, 20])).status, 409)
  const proof = await log.proof(20, 30)
  const note = await log.note(30)
  assert.equal(add(formatSubmission(20, proof.slice(1), note)).status, 422)
  assert.equal(add(formatSubmission(20, [...proof, proof[0]!], note)).status, 422)
  assert.equal(add(formatSubmission(20, proof.toReversed(), note)).status, 422)
  assert.equal(add(formatSubmission(20, [], note)).status, 422)

  const good = formatSubmission(20, proof, note)
  for (const bad of [
    '',
    '\n\n',
    good.replace('old 20', 'old 020'),
    good.replace('old 20', 'old -1'),
    good.replace('old ', 'Old '),
    good.replace('\n', '\r\n'),
    `${good}x`,
    `x${good}`,
    good.replace('=\n', '\n'),
    good.replaceAll('\n\n', '\n'),
    formatSubmission(
      20,
      Array.from({ length: 64 }, () => emptyRoot),
      note,
    ),
  ])
    assert.equal(add(bad).status, 400, JSON.stringify(bad.slice(0, 40)))
  assert.equal(add(good).status, 200)
})

test('P3: what it said outlives a restart; a clock set back does not turn its times back', async t => {
  const directory = await place(t)
  const log = new SampleLog(origin, 40)
  assert.equal(
    (
      await submit(
        open(directory, [log], () => 2000),
        log,
        [0, 20],
      )
    ).status,
    200,
  )
  const again = open(directory, [log], () => 1000)
  assert.equal((await submit(again, log, [0, 10])).status, 409)
  const { status, body } = await submit(again, log, [20, 30])
  assert.equal(status, 200)
  const note = parseNote(Buffer.from((await log.note(30)) + body))!
  assert.equal(note.signatures.at(-1)!.signature.readBigUInt64BE(), 2000n)
})

test('P3: a state that was changed is not gone on from; a folder without its first checkpoint is', async t => {
  const directory = await place(t)
  const log = new SampleLog(origin, 40)
  await submit(open(directory, [log]), log, [0, 20])
  const file = join(directory, hashOrigin(origin), 'checkpoint')
  const good = await readFile(file)
  for (let at = 0; at < good.length; at += 3) {
    const bad = Buffer.from(good)
    bad[at]! ^= 1
    await writeFile(file, bad)
    // The log's own signature is not what the witness relies on; its own covers everything else.
    const logLine = good.indexOf(`\u2014 ${origin}`)
    const own = good.lastIndexOf('\u2014')
    if (at >= logLine && at < own) continue
    assert.throws(() => open(directory, [log]), /damaged/, `byte ${at}`)
  }
  await writeFile(file, good)
  await mkdir(join(directory, hashOrigin('another.example.com')))
  assert.equal((await submit(open(directory, [log]), log, [20, 21])).status, 200)
})

test('P3: what can not be kept is not cosigned, and nothing is after that', async t => {
  const log = new SampleLog(origin, 9)
  const directory = await place(t)
  const witness = open(directory, [log])
  await submit(witness, log, [0, 3])
  await mkdir(join(directory, hashOrigin(origin), 'checkpoint.tmp'))
  const warned = new Promise(resolve => process.once('warning', resolve))
  assert.equal((await submit(witness, log, [3, 5])).status, 500)
  await warned
  assert.equal(witness.healthy, false)
  await rm(join(directory, hashOrigin(origin), 'checkpoint.tmp'), { recursive: true })
  assert.equal((await submit(witness, log, [3, 5])).status, 500)
  assert.equal((await submit(open(directory, [log]), log, [3, 5])).status, 200)
})

test('P3: either key of a log that rotates will do, and signatures of strangers are dropped', async t => {
  const log = new SampleLog(origin, 9)
  const next = new SampleLog(origin, 9)
  const stranger = new SampleLog('stranger.example.com', 1)
  const witness = open(await place(t), [log, next])
  const text = async (size: number, signers: readonly SampleLog[]) =>
    Buffer.from(
      formatSubmission(
        size - 1,
        await log.proof(size - 1, size),
        await signNote(
          (await log.note(size)).split('\n\n')[0]! + '\n',
          signers.map(each => each.signer),
        ),
      ),
    )
  assert.equal(witness.add(await text(1, [log])).status, 200)
  assert.equal(witness.add(await text(2, [log, next, stranger])).status, 200)
  assert.equal(witness.checkpoint(hashOrigin(origin))!.match(/^\u2014 /gm)!.length, 3)
  assert.equal(witness.add(await text(3, [next])).status, 200)
  assert.equal(witness.add(await text(4, [stranger])).status, 403)
})

test('P3: a proof of growth holds exactly for the two trees that it is of', async () => {
  const log = new SampleLog(origin, 70)
  const { parseHead } = await import('../audit/verify/signed-note.ts')
  const heads = await Promise.all(
    Array.from(
      { length: 71 },
      async (_, size) => parseHead((await log.note(size)).split('\n\n')[0]! + '\n')!,
    ),
  )
  for (let old = 0; old <= 70; old++) {
    for (let size = old; size <= 70; size++) {
      const proof = await log.proof(old, size)
      const growth = { old: heads[old]!, now: heads[size]! }
      assert.ok(growthHolds(growth, proof), `${old} to ${size}`)
      if (old > 0 && old < size)
        assert.ok(!growthHolds({ ...growth, old: { size: old, root: emptyRoot } }, proof))
      if (old !== size)
        assert.ok(!growthHolds({ ...growth, now: { size, root: emptyRoot } }, proof) || old === 0)
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.tuple(fc.nat(70), fc.nat(70), fc.nat(70), fc.nat(70)), async ([a, b, c, d]) => {
      if (a > b || a === 0 || (a === c && b === d) || c > d || c === 0) return
      const proof = await log.proof(c, d)
      if (!growthHolds({ old: heads[a]!, now: heads[b]! }, proof)) return
      // Only what is the very same proof may hold for another pair.
      assert.deepEqual(proof, await log.proof(a, b))
    }),
    { numRuns: 300 },
  )
})

test('P3: interleaved submissions never make it sign a tree that is no growth of the last', async t => {
  const honest = new SampleLog(origin, 64)
  const fork = new SampleLog(origin, 64)
  Object.assign(fork, { signer: honest.signer })
  fork.leaves[5] = Buffer.from('other')
  const step = fc.record({ fork: fc.boolean(), old: fc.nat(20), size: fc.nat(20) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
      const kept = new Map<string, Parameters<WitnessStore['keep']>[0]>()
      const store: WitnessStore = {
        last: of => kept.get(of),
        keep: each => void kept.set(each.head.origin, each),
      }
      const own = cosigner('witness.example.com', key)
      const witness = new Witness({ cosigner: own, logs: [parseVerifierKey(honest.signer.vkey)], store })
      let last = { size: 0, log: honest, begun: false }
      for (const { fork: forked, old, size } of steps) {
        const log = forked ? fork : honest
        const { status } = await submit(witness, log, [old, size])
        if (status !== 200) continue
        assert.equal(old, last.size)
        assert.ok(size >= last.size)
        // Up to entry 5 the two logs are the same.
        if (last.begun && last.size > 5) assert.equal(log, last.log)
        last = { size, log: size > 5 ? log : last.log, begun: true }
      }
    }),
    { numRuns: 100 },
  )
  t.diagnostic('forks and rollbacks refused')
})
