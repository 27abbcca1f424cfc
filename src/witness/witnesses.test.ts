import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type Checkpointer, openCheckpointer } from '../audit/checkpoint.ts'
import { makeReceipt } from '../audit/receipt.ts'
import { type FakeStore, fakeStore } from '../audit/testing/fake-store.ts'
import { verify } from '../audit/verify.ts'
import { parseVerifierKey } from '../audit/verify/signed-note.ts'
import { auditSection } from '../config/audit.ts'
import { policyOf } from './open-witnesses.ts'
import { type RunningWitness, serveWitness } from './serve-witness.ts'
import { Witnesses, type WitnessesOptions } from './witnesses.ts'

const origin = 'log.example.com/1'
const entries = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => Buffer.from(`entry ${from + i}`))

interface Story {
  readonly home: string
  readonly store: FakeStore
  readonly checkpointer: Checkpointer
  readonly running: readonly RunningWitness[]
  readonly policy: string
}

async function story(t: TestContext, count: number, size = 300): Promise<Story> {
  const home = await mkdtemp(join(tmpdir(), 'sallyport-witnesses-'))
  t.after(() => rm(home, { recursive: true }))
  const store = fakeStore(entries(0, size))
  const checkpointer = await openLog(home, store)
  t.after(() => checkpointer.close())
  const running: RunningWitness[] = []
  for (let i = 0; i < count; i++) {
    const witness = await serveWitness({
      name: `w${i}.example.com`,
      logs: checkpointer.vkeys,
      directory: join(home, `w${i}`),
      host: '127.0.0.1',
      port: 0,
    })
    t.after(() => witness.close())
    running.push(witness)
  }
  const witnesses = running.map(({ url, vkey }, i) => ({ name: `w${i}`, url, vkey }))
  const policy = join(home, 'policy')
  const text = policyOf(auditSection.parse({ witnesses, ...(count > 0 && { quorum: count }) }))
  await writeFile(policy, `log ${checkpointer.vkeys[0]}\n${text}`)
  return { home, store, checkpointer, running, policy }
}

function openLog(home: string, store: FakeStore): Promise<Checkpointer> {
  return openCheckpointer({
    store,
    origin,
    directory: join(home, 'log'),
    keyFiles: [join(home, 'log.key')],
    every: 1e6,
    scrub: 0,
    onAlarm: () => undefined,
  })
}

type Said = { readonly kind: string } & Readonly<Record<string, unknown>>

function witnessesOf(
  { checkpointer, running }: Pick<Story, 'checkpointer' | 'running'>,
  more: Partial<WitnessesOptions> = {},
): Witnesses & { readonly said: Said[] } {
  const said: Said[] = []
  const witnesses = new Witnesses({
    peers: running.map(({ url, vkey }, i) => ({ name: `w${i}`, url, key: parseVerifierKey(vkey) })),
    quorum: running.length,
    mode: 'required',
    every: 0,
    timeout: 5000,
    patience: 60_000,
    report: 0,
    prove: (old, size) => checkpointer.prove(old, size),
    cosign: cosignatures => checkpointer.cosign(cosignatures),
    note: async (kind, attributes) => void said.push({ kind, ...attributes }),
    ...more,
  })
  return Object.assign(witnesses, { said })
}

async function round(witnesses: Witnesses, checkpointer: Checkpointer): Promise<void> {
  witnesses.signed(await checkpointer.publish())
  await witnesses.settled()
}

test('P3: heads are cosigned as the log grows; checkpoint, receipt and policy stand a verifier', async t => {
  const of = await story(t, 2)
  const { home, store, checkpointer, policy } = of
  const directory = join(home, 'log')
  const witnesses = witnessesOf(of)
  assert.match(witnesses.refusal()!.detail!, /not been cosigned by 2/)
  assert.equal((await verify({ directory, policy })).exit, 2)
  await checkpointer.publish()
  assert.deepEqual(
    (await verify({ directory, policy })).findings.map(each => each.code),
    ['quorum'],
  )
  for (const size of [300, 301, 700]) {
    store.entries.push(...entries(store.size, size))
    await round(witnesses, checkpointer)
    assert.equal(witnesses.refusal(), undefined)
    assert.deepEqual(
      witnesses.state.witnesses.map(each => [each.result, each.size]),
      [
        ['cosigned', size],
        ['cosigned', size],
      ],
    )
    assert.equal((await readFile(join(directory, 'checkpoint'), 'utf8')).match(/^\u2014 /gm)!.length, 3)
    const report = await verify({ directory, policy })
    assert.deepEqual([report.exit, report.findings, report.notes], [0, [], []])
  }
  // The same head signed again keeps its cosignatures, and what is carried to sinks has them too.
  assert.match((await checkpointer.publish()).note, /w1\.example\.com/)
  const receipt = join(home, 'receipt')
  await writeFile(receipt, (await makeReceipt(directory, 5))!)
  assert.equal((await verify({ receipt, policy })).exit, 0)
  // A newer head that nobody has cosigned yet: witnesses vouch for what they saw, and the report says so.
  store.entries.push(...entries(700, 710))
  await checkpointer.publish()
  const report = await verify({ directory, policy })
  assert.deepEqual([report.exit, report.notes], [0, ['the last 10 entries are signed, and not cosigned yet']])
  await writeFile(receipt, (await makeReceipt(directory, 5))!)
  assert.equal((await verify({ receipt, policy })).exit, 0)
  await writeFile(receipt, (await makeReceipt(directory, 705))!)
  assert.equal((await verify({ receipt, policy })).exit, 2)
  assert.deepEqual(
    witnesses.said.map(each => each.kind),
    Array.from({ length: 3 }, () => 'checkpoint.witnessed'),
  )
  await witnesses.close()
})

test('P3: a client that knows nothing of the past of a witness takes it from its answer', async t => {
  const of = await story(t, 1)
  const first = witnessesOf(of)
  await round(first, of.checkpointer)
  of.store.entries.push(...entries(300, 400))
  const again = witnessesOf(of, {
    last: await readFile(join(of.home, 'log', 'checkpoint.witnessed'), 'utf8'),
  })
  assert.equal(again.refusal(), undefined, 'a restart right after a quorum refuses nobody')
  await round(again, of.checkpointer)
  assert.equal(again.state.witnesses[0]!.size, 400)
})

test('P3: a log rewritten with the same key passes alone and fails against a witness', async t => {
  const of = await story(t, 1)
  await round(witnessesOf(of), of.checkpointer)
  const twin = join(of.home, 'twin')
  const { cp, mkdir } = await import('node:fs/promises')
  await mkdir(twin)
  await cp(join(of.home, 'log.key'), join(twin, 'log.key'))
  const rewritten = of.store.entries.map((each, i) => (i === 7 ? Buffer.from('rewritten') : each))
  for (const [size, result] of [
    [400, 'forked'],
    [300, 'forked'],
    [200, 'ahead'],
  ] as const) {
    await rm(join(twin, 'log'), { recursive: true, force: true })
    await rm(join(twin, 'log.key.head'), { force: true })
    const store = fakeStore([...rewritten, ...entries(300, 400)].slice(0, size))
    const checkpointer = await openLog(twin, store)
    const witnesses = witnessesOf({ ...of, checkpointer })
    await round(witnesses, checkpointer)
    await round(witnesses, checkpointer)
    const directory = join(twin, 'log')
    const alone = await verify({ directory, vkeys: checkpointer.vkeys })
    assert.deepEqual([alone.exit, alone.findings], [0, []])
    assert.equal((await verify({ directory, policy: of.policy })).exit, 2)
    const since = [join(of.home, 'w0', ...(await witnessFile(of.home)))]
    assert.equal((await verify({ directory, vkeys: checkpointer.vkeys, since })).exit, 1)
    assert.equal(witnesses.state.witnesses[0]!.result, result)
    assert.notEqual(witnesses.refusal(), undefined)
    // Said once, however often the witness repeats it.
    assert.deepEqual(
      witnesses.said.map(each => [each.kind, each['reason']]),
      [
        ['checkpoint.unwitnessed', result],
        ['checkpoint.unwitnessed', 'no-quorum'],
      ],
    )
    await checkpointer.close()
  }
})

async function witnessFile(home: string): Promise<string[]> {
  const { readdir } = await import('node:fs/promises')
  const folder = (await readdir(join(home, 'w0'))).find(name => name.length === 64)!
  return [folder, 'checkpoint']
}

test('P6: without a quorum for too long: monitor says so, required refuses, until it is back', async t => {
  const of = await story(t, 2)
  let now = 1_000_000
  const clock = { now: () => now }
  for (const mode of ['monitor', 'required'] as const) {
    const changes: boolean[] = []
    const onChange: WitnessesOptions['onChange'] = state => changes.push(state.overdue)
    const broken = { ...of, running: [of.running[0]!, { ...of.running[1]!, url: 'http://127.0.0.1:9' }] }
    const witnesses = witnessesOf(broken, { mode, clock, onChange, quorum: 1 })
    await round(witnesses, of.checkpointer)
    assert.equal(witnesses.refusal(), undefined, 'one of two is the quorum')
    const [, second] = witnesses.state.witnesses
    assert.equal(second!.result, 'failed')
    const alone = witnessesOf(
      { ...of, running: [broken.running[1]!] },
      { mode, clock, onChange, last: await readFile(join(of.home, 'log', 'checkpoint.witnessed'), 'utf8') },
    )
    now += 120_000
    await round(alone, of.checkpointer)
    await round(alone, of.checkpointer)
    assert.equal(alone.refusal() === undefined, mode === 'monitor')
    if (mode === 'required') assert.equal(alone.refusal()!.code, 'recording-unavailable')
    assert.deepEqual(
      alone.said.map(each => each['reason']),
      ['no-quorum'],
    )
    assert.deepEqual(changes, [true])
    now += 120_000
    assert.equal(witnesses.refusal() === undefined, mode === 'monitor')
    await round(witnesses, of.checkpointer)
    assert.equal(witnesses.refusal(), undefined)
  }
})

test('P3: what a witness answers is believed only as far as its key has signed it', async t => {
  const of = await story(t, 1)
  const { note } = await of.checkpointer.publish()
  const answers: [number, string, string][] = [
    [200, '', 'failed'],
    [200, 'hello\n', 'failed'],
    [200, note.slice(note.lastIndexOf('\u2014')), 'failed'],
    [200, '\u2014 w0.example.com AAAAAAAAAAA=\n', 'failed'],
    [200, 'x'.repeat(70_000), 'failed'],
    [404, '', 'unknown-log'],
    [403, '', 'unknown-key'],
    [400, '', 'invalid'],
    [422, '', 'forked'],
    [500, '', 'failed'],
    [302, '', 'failed'],
    [409, '', 'failed'],
    [409, 'many\n', 'failed'],
    [409, '301\n', 'ahead'],
    [409, '7\n', 'failed'],
  ]
  for (const [status, body, result] of answers) {
    const server = await fakeWitness((_, response) =>
      response.writeHead(status, { location: of.running[0]!.url }).end(body),
    )
    const witnesses = witnessesOf({ ...of, running: [{ ...of.running[0]!, url: urlOf(server) }] })
    await round(witnesses, of.checkpointer)
    assert.equal(witnesses.state.witnesses[0]!.result, result, `${status} ${body.slice(0, 20)}`)
    assert.notEqual(witnesses.refusal(), undefined)
    server.close()
  }
})

test('P12: a witness that never answers holds up neither the others nor the close', async t => {
  const of = await story(t, 1)
  const server = await fakeWitness(() => undefined)
  t.after(() => server.closeAllConnections())
  t.after(() => server.close())
  const silent = { ...of.running[0]!, url: urlOf(server) }
  const witnesses = witnessesOf({ ...of, running: [of.running[0]!, silent] }, { quorum: 1, timeout: 1e6 })
  const cosigned = new Promise<void>(resolve => {
    const { cosign } = of.checkpointer
    of.checkpointer.cosign = async each => {
      await cosign.call(of.checkpointer, each)
      resolve()
    }
  })
  witnesses.signed(await of.checkpointer.publish())
  await cosigned
  assert.equal(witnesses.refusal(), undefined)
  await witnesses.close()
})

async function fakeWitness(answer: RequestListener): Promise<Server> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  return server
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
