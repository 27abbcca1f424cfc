import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeReceipt } from './receipt.ts'
import { fakeStore } from './testing/fake-store.ts'
import { memorySource, publish, readFiles, type RunLog, runLog, temporary } from './testing/run-log.ts'
import { verify, type VerifyOptions, type VerifyReport } from './verify.ts'

const codes = (report: VerifyReport) => [...new Set(report.findings.map(each => each.code))]
const check = (log: RunLog, options: Partial<VerifyOptions> = {}) =>
  verify({ directory: log.directory, vkeys: [log.vkey], ...options })

async function saved(log: RunLog, name: string): Promise<string> {
  const path = join(log.home, name)
  await writeFile(path, log.note)
  return path
}

test('P3: a real log is sound, whole and complete, also over a crash and a restart', async t => {
  const home = await temporary(t)
  const first = await runLog(home, { actions: 150 })
  const since = [await saved(first, 'old-1')]
  const crashed = await runLog(home, { actions: 100, store: first.store, crash: true })
  since.push(await saved(crashed, 'old-2'))
  const last = await runLog(home, { actions: 90, store: crashed.store })
  const seen: number[] = []
  const report = await check(last, { complete: true, since, progress: done => seen.push(done) })
  assert.deepEqual(report.findings, [])
  assert.equal(report.exit, 0)
  assert.equal(report.size, last.store.size)
  assert.equal(report.completeness?.intents, 340)
  assert.equal(report.completeness.ends, 340)
  assert.equal(report.completeness.runs, 3)
  assert.equal(report.completeness.closed, true)
  assert.equal(seen.at(-1), last.store.size)
})

test('P3: a log cannot vouch for itself, and another key or origin is no match', async t => {
  const log = await runLog(await temporary(t), { actions: 3 })
  const other = await runLog(await temporary(t), { actions: 3 })
  await assert.rejects(verify({ directory: log.directory }), TypeError)
  await assert.rejects(verify({ vkeys: [log.vkey] }), TypeError)
  assert.deepEqual(codes(await check(log, { vkeys: [other.vkey] })), ['signature'])
  assert.deepEqual(codes(await check(log, { origin: 'other.example.com' })), ['other-origin'])
  const report = await check(log, { since: [await saved(other, 'old')] })
  assert.deepEqual([report.exit, codes(report)], [2, ['since-unusable']])
})

test('P3: a log rewritten with the same key passes alone and fails against an earlier head', async t => {
  const home = await temporary(t)
  const honest = await runLog(home, { actions: 40 })
  const since = [await saved(honest, 'old')]
  const { mkdtemp, cp } = await import('node:fs/promises')
  const twin = await mkdtemp(join(home, 'twin-'))
  await cp(join(home, 'log.key'), join(twin, 'log.key'))
  // Not just any early entry: where a heartbeat falls depends on the machine, and it names nobody.
  const changed = honest.store.entries.findIndex(each => each.includes('agent-7'))
  const entries = honest.store.entries.map((each, i) =>
    i === changed ? Buffer.from(each.toString().replace('agent-7', 'agent-8')) : each,
  )
  const forged = await runLog(twin, { actions: 4, store: fakeStore(entries) })
  assert.equal((await check(forged, { complete: false })).exit, 0)
  const report = await check(forged, { since })
  assert.deepEqual([report.exit, codes(report)], [1, ['fork']])
  const anchor = join(home, 'events.ndjson')
  const event = { attributes: { sallyport: { checkpoint: honest.note } } }
  await writeFile(anchor, `{"message":"noise"}\n${JSON.stringify(event)}\n`)
  assert.deepEqual(codes(await check(forged, { anchor })), ['fork'])
  assert.equal((await check(honest, { anchor })).exit, 0)
  await writeFile(anchor, '{"message":"noise"}\n')
  assert.deepEqual(codes(await check(honest, { anchor })), ['anchor-empty'])
})

test('P3: a log rolled back to an earlier head of its own passes alone and fails against the later one', async t => {
  const home = await temporary(t)
  const early = await runLog(home, { actions: 10 })
  const files = await readFiles(early.directory)
  const late = await runLog(home, { actions: 10, store: early.store })
  const since = [await saved(late, 'late')]
  const options = { from: memorySource(files), vkeys: [late.vkey] }
  assert.equal((await verify(options)).exit, 0)
  assert.deepEqual(codes(await verify({ ...options, since })), ['rollback'])
})

test('P3: an older partial file must be the beginning of its present form; what is no part of a log is said', async t => {
  const home = await temporary(t)
  const store = fakeStore(Array.from({ length: 270 }, (_, i) => Buffer.from(`${i}`)))
  await publish(home, store)
  store.entries.push(Buffer.from('270'))
  const log = await publish(home, store)
  const files = await readFiles(log.directory)
  const run = (changed: Map<string, Buffer>) => verify({ from: memorySource(changed), vkeys: [log.vkey] })
  assert.equal((await run(files)).exit, 0)
  for (const path of ['tile/0/001.p/14', 'tile/entries/001.p/14']) {
    const copy = Buffer.from(files.get(path)!)
    copy[7]! ^= 1
    assert.deepEqual(codes(await run(new Map(files).set(path, copy))), ['stale-file'])
  }
  assert.deepEqual(codes(await run(new Map(files).set('notes.txt', Buffer.from('x')))), ['unexpected-file'])
  assert.deepEqual(codes(await run(new Map(files).set('tile/0/0001', Buffer.from('x')))), ['unexpected-file'])
})

test('P2: what the entries say is checked: lost ends, doubled ends, gaps, counters, runs', async t => {
  const home = await temporary(t)
  const log = await runLog(home, { actions: 30 })
  const lines = log.store.entries.map(each => each.toString())
  const firstEnd = lines.findIndex(line => line.includes('"intent":'))
  const cases: Record<string, (entries: string[]) => string[]> = {
    'seq-gap': all => all.toSpliced(firstEnd, 1),
    'end-without-intent': all => all.with(firstEnd, all[firstEnd]!.replace(/"intent":"\d+"/, '"intent":"1"')),
    'end-of-another': all => all.with(firstEnd, all[firstEnd]!.replace(/"action":"[^"]+"/, '"action":"a_x"')),
    counters: all => all.map(line => line.replace(/"appended":\d+/, '"appended":7777')),
    'intent-open': all =>
      all.with(firstEnd, all[firstEnd]!.replace('"kind":"action.denied"', '"kind":"audit.read"')),
    'run-without-start': all => all.toSpliced(0, 1),
    'entry-malformed': all => all.with(firstEnd, '{'),
    'other-log': all => all.with(firstEnd, all[firstEnd]!.replace('gateway/1', 'gateway/2')),
  }
  for (const [code, change] of Object.entries(cases)) {
    const place = join(home, code)
    await mkdir(place)
    const changed = await publish(place, fakeStore(change(lines).map(line => Buffer.from(line))))
    const report = await verify({ directory: changed.directory, vkeys: [changed.vkey], complete: true })
    assert.equal(report.exit, 1, code)
    assert.ok(codes(report).includes(code), `${code}: ${codes(report).join()}`)
  }
})

test('P2: with a bundle missing the rest can not be told about, which is no evidence of tampering', async t => {
  const log = await runLog(await temporary(t), { actions: 400 })
  const files = await readFiles(log.directory)
  files.delete('tile/entries/001')
  const report = await verify({ from: memorySource(files), vkeys: [log.vkey], complete: true })
  assert.deepEqual([report.exit, codes(report)], [2, ['bundle-missing']])
})

test('P3: receipts verify offline, and not after any change', async t => {
  const home = await temporary(t)
  const log = await runLog(home, { actions: 140 })
  const path = join(home, 'entry.tlog-proof')
  for (const index of [0, 1, 255, 256, log.store.size - 1]) {
    await writeFile(path, (await makeReceipt(log.directory, index))!)
    const report = await verify({ receipt: path, vkeys: [log.vkey] })
    assert.deepEqual([report.exit, report.findings], [0, []])
  }
  assert.equal(await makeReceipt(log.directory, log.store.size), undefined)
  const good = await readFile(path)
  for (let at = 0; at < good.length; at++) {
    const copy = Buffer.from(good)
    copy[at]! ^= 1 << (at % 8)
    await writeFile(path, copy)
    assert.notEqual((await verify({ receipt: path, vkeys: [log.vkey] })).exit, 0, `byte ${at}`)
  }
})

test('P3: over HTTP, with a token; a log that refuses can not be told about', async t => {
  const log = await runLog(await temporary(t), { actions: 20 })
  const files = await readFiles(log.directory)
  const server = createServer((request, response) => {
    const file = files.get(request.url!.slice('/log/'.length))
    const allowed = request.headers.authorization === 'Bearer sesame'
    response.writeHead(allowed ? (file === undefined ? 404 : 200) : 403).end(allowed ? file : undefined)
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/log`
  const report = await verify({ url, token: 'sesame', vkeys: [log.vkey], complete: true })
  assert.deepEqual([report.exit, report.findings], [0, []])
  assert.equal((await verify({ url, vkeys: [log.vkey] })).exit, 2)
})

test('P3: recordings are hashed against the entries that name them', async t => {
  const home = await temporary(t)
  const bytes = Buffer.from('ciphertext')
  const hex = createHash('sha256').update(bytes).digest('hex')
  const named = (length: number) =>
    Buffer.from(JSON.stringify({ recording: { blob: `sha256:${hex}`, length } }))
  const log = await publish(home, fakeStore([named(bytes.length)]))
  const blobs = join(home, 'blobs')
  await mkdir(blobs)
  const run = async () => codes(await check(log, { blobs })).filter(code => code.startsWith('blob'))
  assert.deepEqual(await run(), ['blob-missing'])
  await writeFile(join(blobs, hex), bytes)
  assert.deepEqual(await run(), [])
  await writeFile(join(blobs, hex), 'other')
  assert.deepEqual(await run(), ['blob-differs'])
})

test('P3: as a command: exit 0, 1 and 2, and a report for machines', async t => {
  const log = await runLog(await temporary(t), { actions: 5 })
  const command = (...args: string[]) =>
    new Promise<{ code: unknown; stdout: string }>(resolve => {
      const script = fileURLToPath(new URL('./verify.ts', import.meta.url))
      execFile(process.execPath, [script, ...args], (error, stdout) =>
        resolve({ code: error?.code ?? 0, stdout }),
      )
    })
  const sound = await command('--dir', log.directory, '--vkey', log.vkey, '--complete', '--json')
  assert.equal(sound.code, 0)
  assert.equal((JSON.parse(sound.stdout) as VerifyReport).verdict, 'sound')
  assert.equal(
    (await command('--dir', `${log.directory}x`, '--policy', join(log.directory, 'tlog-policy'))).code,
    2,
  )
  const files = join(log.directory, 'tile/0')
  await writeFile(join(files, '000.p', `${log.store.size}`), Buffer.alloc(32 * log.store.size))
  assert.equal((await command('--dir', log.directory, '--vkey', join(log.directory, 'log.vkey'))).code, 1)
})
