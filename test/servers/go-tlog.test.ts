/**
 * The log of a real run, verified by code that shares nothing with ours: Go's sumdb packages as Debian ships them
 * (golang-golang-x-mod-dev), and openssl for the signature. Both skip loudly where they are not there, except in CI.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { makeReceipt } from '../../src/audit/receipt.ts'
import { type RunLog, runLog, temporary } from '../../src/audit/testing/run-log.ts'
import { tilePath } from '../../src/audit/tiles.ts'

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

async function twoRuns(t: TestContext): Promise<{ readonly log: RunLog; readonly old: string }> {
  const home = await temporary(t)
  const first = await runLog(home, { actions: 90 })
  const old = join(home, 'old-checkpoint')
  await writeFile(old, first.note)
  const log = await runLog(home, { actions: 200, store: first.store, crash: true })
  return { log, old }
}

test("P3: Go's sumdb verifies signature, tiles, entries, inclusion, growth and a receipt", async t => {
  const environment = { ...process.env, GOPATH: packages, GO111MODULE: 'off', GOFLAGS: '' }
  const go = (...args: string[]) => run('go', args, { env: environment })
  const there = async (): Promise<void> => {
    await go('version')
    assert.ok(
      existsSync(join(packages, 'src/golang.org/x/mod/sumdb/tlog')),
      'golang-golang-x-mod-dev is missing',
    )
  }
  if (!(await needs(t, 'Go with golang.org/x/mod', there))) return
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
  const split = log.note.indexOf('\n\n')
  const signature = Buffer.from(log.note.trimEnd().split(' ').at(-1)!, 'base64').subarray(4)
  const key = Buffer.from(log.vkey.split('+').slice(2).join('+'), 'base64').subarray(1)
  // The SubjectPublicKeyInfo of RFC 8410 around a raw Ed25519 key.
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key])
  const file = (name: string): string => join(log.home, name)
  await writeFile(file('key.der'), der)
  await writeFile(file('signature'), signature)
  await writeFile(file('text'), log.note.slice(0, split + 1))
  const verify = () =>
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
  await verify()
  await writeFile(file('text'), log.note.slice(0, split + 1).replace('gateway', 'Gateway'))
  await assert.rejects(verify())
})
