/**
 * The log of a real run, verified by code that shares nothing with ours: Go's sumdb packages as Debian ships them
 * (golang-golang-x-mod-dev), and openssl for the signature. Both skip loudly where they are not there, except in CI.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { makeReceipt } from '../../src/audit/receipt.ts'
import { type RunLog, runLog, temporary } from '../../src/audit/testing/run-log.ts'
import { tilePath } from '../../src/audit/tiles.ts'
import { verify } from '../../src/audit/verify.ts'
import { serveWitness } from '../../src/witness/serve-witness.ts'
import { runCli } from '../support/cli.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'
import { createWorld } from '../support/world.ts'

const run = promisify(execFile)
const program = fileURLToPath(new URL('./go-tlog/main.go', import.meta.url))
const packages = '/usr/share/gocode'

/** Whether the command is there; where it is not, the test is skipped, or fails in CI. */
async function needs(t: TestContext, what: string, there: () => Promise<unknown>): Promise<boolean> {
  try {
    await there()
    return true
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    t.skip(`${what} is not here: NOT VERIFIED independently`)
    return false
  }
}

const go = (...args: string[]) =>
  run('go', args, { env: { ...process.env, GOPATH: packages, GO111MODULE: 'off', GOFLAGS: '' } })

async function goIsThere(): Promise<void> {
  await go('version')
  assert.ok(
    existsSync(join(packages, 'src/golang.org/x/mod/sumdb/tlog')),
    'golang-golang-x-mod-dev is missing',
  )
}

async function twoRuns(t: TestContext): Promise<{ readonly log: RunLog; readonly old: string }> {
  const home = await temporary(t)
  const first = await runLog(home, { actions: 90 })
  const old = join(home, 'old-checkpoint')
  await writeFile(old, first.note)
  const log = await runLog(home, { actions: 200, store: first.store, crash: true })
  return { log, old }
}

test("P3: Go's sumdb verifies signature, tiles, entries, inclusion, growth and a receipt", async t => {
  if (!(await needs(t, 'Go with golang.org/x/mod', goIsThere))) return
  const { log, old } = await twoRuns(t)
  const receipt = join(log.home, 'entry.tlog-proof')
  await writeFile(receipt, (await makeReceipt(log.directory, 300))!)
  const binary = join(log.home, 'go-tlog')
  await go('build', '-o', binary, program)
  const { stdout } = await run(binary, [log.directory, log.vkey, old, receipt])
  assert.match(stdout, new RegExp(`^${log.store.size} entries, grown from \\d+\\n$`))
  // It can say no: the same program over one flipped bit.
  const tile = join(log.directory, tilePath(0, 0))
  const bytes = await readFile(tile)
  bytes[100]! ^= 1
  await writeFile(tile, bytes)
  await assert.rejects(run(binary, [log.directory, log.vkey, old, receipt]))
})

test('P3: openssl verifies the signature of a checkpoint', async t => {
  if (!(await needs(t, 'openssl', () => run('openssl', ['version'])))) return
  const { log } = await twoRuns(t)
  await verifyWithOpenssl(log)
})

test('P3: a whole gateway in use: witnessed, shipped, recorded; then judged by Go, openssl and from exports', async t => {
  const world = await createWorld()
  t.after(() => world.close())
  const upstream = await startUpstream((request, response) => {
    request.resume()
    response.end(`answer to ${request.url}`)
  })
  t.after(() => upstream.close())
  await world.configure({
    connections: [{ name: 'things', protocol: 'http', url: upstream.url }],
    policy: { rules: [{ name: 'all', effect: 'allow', record: 'full' }] },
  })
  const headers = { authorization: `Bearer ${await world.token('batch-agent')}` }
  const use = async (gateway: TestGateway, times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await (await fetch(`${gateway.url}/c/things/${i}`, { headers })).text()
  }
  const directory = join(world.data, 'log')
  const file = (name: string): string => join(world.directory, name)
  const first = await openGateway(world)
  await use(first, 20)
  await first.close()
  const old = file('old')
  await copyFile(join(directory, 'checkpoint'), old)
  const vkey = (await readFile(join(directory, 'log.vkey'), 'utf8')).trim()

  const witness = await serveWitness({
    name: 'witness.example.com',
    logs: [vkey],
    directory: file('witness'),
    host: '127.0.0.1',
    port: 0,
  })
  t.after(() => witness.close())
  await world.configure({
    audit: {
      mode: 'required',
      witnesses: [{ name: 'auditor', url: witness.url, vkey: witness.vkey }],
      checkpoint: { every: 1 },
      witness_every: 1,
      witness_timeout: 5,
      patience: 30,
    },
  })
  const gateway = await openGateway(world)
  await use(gateway, 30)
  const all = await gateway.entries()
  const policy = file('policy')
  await copyFile(join(directory, 'tlog-policy'), policy)
  assert.match(await readFile(policy, 'utf8'), /witness auditor .*quorum/s)
  await until('the witness has seen all of it', async () => {
    const { size } = await witnessedHead(directory)
    return size >= all.length
  })
  const command = (...args: string[]) => runCli(args, { cwd: world.directory })
  const blobs = file('blobs')
  const exported = await command('audit', 'export', '--blobs', blobs, '-o', file('entries.ndjson'))
  assert.equal(exported.code, 0, exported.stderr)
  assert.equal((await readdir(blobs)).length, 50)
  const receipt = file('receipt')
  assert.equal((await command('audit', 'receipt', '30', '-o', receipt)).code, 0)
  const offline = await command('verify', '--receipt', receipt, '--policy', policy, '--json')
  assert.equal(offline.code, 0, offline.stdout)
  const keys = await command('keys', 'list', '--json')
  assert.equal((JSON.parse(keys.stdout) as { vkey: string }).vkey, vkey)
  await until('the intake has what was written', () => world.intake.logs.length >= all.length)
  await gateway.close()

  // What the auditor has from Datadog, in the form in which its API gives logs.
  const anchor = file('datadog.ndjson')
  const events = world.intake.logs.map(({ record }) => ({
    id: 'AQAAAY',
    type: 'log',
    attributes: { attributes: record },
  }))
  await writeFile(anchor, events.map(each => `${JSON.stringify(each)}\n`).join(''))
  const judged = await verify({ directory, policy, since: [old], anchor, blobs, complete: true })
  assert.deepEqual([judged.exit, judged.findings], [0, []])
  assert.ok(judged.checked.some(each => each.includes('quorum of witnesses')))
  const [, heads] = /growth from (\d+) earlier heads/.exec(judged.checked.join())!
  assert.ok(Number(heads) > 2, `heads in Datadog: ${heads}`)

  const note = await readFile(join(directory, 'checkpoint'), 'utf8')
  const split = note.indexOf('\n\n') + 2
  const own = note
    .slice(split)
    .split('\n')
    .find(line => line.includes('gateway.example.com'))!
  await verifyWithOpenssl({ home: world.directory, vkey, note: `${note.slice(0, split)}${own}\n` })
  if (!(await needs(t, 'Go with golang.org/x/mod', goIsThere))) return
  const binary = file('go-tlog')
  await go('build', '-o', binary, program)
  const { stdout } = await run(binary, [directory, vkey, old, receipt])
  assert.match(stdout, /^\d+ entries, grown from \d+\n$/)
})

async function verifyWithOpenssl(log: Pick<RunLog, 'home' | 'note' | 'vkey'>): Promise<void> {
  const split = log.note.indexOf('\n\n')
  const signature = Buffer.from(log.note.trimEnd().split(' ').at(-1)!, 'base64').subarray(4)
  const key = Buffer.from(log.vkey.split('+').slice(2).join('+'), 'base64').subarray(1)
  // The SubjectPublicKeyInfo of RFC 8410 around a raw Ed25519 key.
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key])
  const file = (name: string): string => join(log.home, name)
  await writeFile(file('key.der'), der)
  await writeFile(file('signature'), signature)
  await writeFile(file('text'), log.note.slice(0, split + 1))
  const check = () =>
    run('openssl', [
      'pkeyutl',
      '-verify',
      '-pubin',
      '-keyform',
      'DER',
      '-inkey',
      file('key.der'),
      '-rawin',
      '-in',
      file('text'),
      '-sigfile',
      file('signature'),
    ])
  await check()
  await writeFile(file('text'), log.note.slice(0, split + 1).replace('gateway', 'Gateway'))
  await assert.rejects(check())
}

async function witnessedHead(directory: string): Promise<{ readonly size: number }> {
  const note = await readFile(join(directory, 'checkpoint.witnessed'), 'utf8').catch(() => '')
  return { size: Number(note.split('\n')[1] ?? 0) }
}
