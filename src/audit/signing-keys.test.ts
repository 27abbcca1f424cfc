import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { GatewayError } from '../errors.ts'
import { type Checkpointer, type CheckpointerOptions, LogAlarm, openCheckpointer } from './checkpoint.ts'
import { openSigningKeys } from './signing-keys.ts'
import { type FakeStore, fakeStore } from './testing/fake-store.ts'
import { startFakeVault } from './testing/fake-vault.ts'
import { origin } from './testing/samples.ts'
import { verify } from './verify.ts'

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => Buffer.from(`${from + i}`))

interface Place {
  readonly home: string
  readonly directory: string
  readonly store: FakeStore
  readonly said: Record<string, unknown>[]
  readonly alarms: Error[]
  open(more?: Partial<CheckpointerOptions>): Promise<Checkpointer>
  readonly note: (
    kind: string,
    attributes: Readonly<Record<string, unknown>>,
  ) => Promise<{ index: number; id: string }>
}

async function place(t: TestContext): Promise<Place> {
  const home = await mkdtemp(join(tmpdir(), 'sallyport-keys-'))
  t.after(() => rm(home, { recursive: true }))
  const store = fakeStore(numbered(0, 5))
  const said: Record<string, unknown>[] = []
  const alarms: Error[] = []
  const directory = join(home, 'log')
  return {
    home,
    directory,
    store,
    said,
    alarms,
    open: more =>
      openCheckpointer({
        store,
        origin,
        directory,
        keyFiles: [join(home, 'keys', 'log.key')],
        every: 1e6,
        scrub: 0,
        onAlarm: alarm => alarms.push(alarm),
        ...more,
      }),
    async note(kind, attributes) {
      said.push({ kind, ...attributes })
      store.entries.push(Buffer.from(JSON.stringify({ kind, ...attributes })))
      return { index: store.size - 1, id: `${origin}/${store.size - 1}` }
    },
  }
}

const signatures = (note: string) => note.match(/^\u2014 /gm)!.length

test('P10: a rotation is an entry under the old key alone; then both sign; then the old one is gone', async t => {
  const at = await place(t)
  const retired = Promise.withResolvers<string>()
  const heads: { size: number; note: string }[] = []
  const checkpointer = await at.open({ onRetired: retired.resolve, onPublished: head => heads.push(head) })
  const keys = await openSigningKeys(checkpointer, at)
  const [old] = checkpointer.vkeys as [string]
  assert.deepEqual(
    at.said.map(each => each['kind']),
    ['key.created'],
  )
  await checkpointer.publish()
  const since = join(at.home, 'since')
  await writeFile(since, checkpointer.head!.note)
  heads.length = 0
  const rotations = [keys.rotate(1e6, { subject: { id: 'ana' } }), keys.rotate(1, {})]
  assert.deepEqual(
    (await Promise.allSettled(rotations)).map(each => each.status),
    ['fulfilled', 'rejected'],
  )
  const [, made] = checkpointer.vkeys as [string, string]
  assert.deepEqual(
    at.said.slice(1).map(({ kind, step, old: from, new: to }) => [kind, step, from, to]),
    [['key.rotated', 'overlap', old, made]],
  )
  // The head that covers the entry has the old signature and no other.
  assert.deepEqual(
    heads.map(each => signatures(each.note)),
    [1, 2],
  )
  assert.equal(heads[0]!.size, at.store.size)
  assert.equal((await verify({ directory: at.directory, vkeys: [old], since: [since] })).exit, 0)
  assert.equal((await verify({ directory: at.directory, vkeys: [made] })).exit, 0)
  assert.equal((await verify({ directory: at.directory, policy: join(at.directory, 'tlog-policy') })).exit, 0)
  await assert.rejects(keys.rotate(1000, {}), (error: GatewayError) => error.code === 'conflict')
  await checkpointer.close()

  // The overlap ends, here by the hand of time on disk.
  const ring = join(at.home, 'keys', 'log.key.ring')
  assert.equal((await stat(ring)).mode & 0o777, 0o600)
  const text = await readFile(ring, 'utf8')
  await writeFile(ring, text.replace(/"until": \d+/, '"until": 1'))
  const bothOver = text.replaceAll(
    /"state": "signing"(,\n +"until": \d+)?/g,
    '"state": "signing", "until": 1',
  )
  await writeFile(ring, bothOver)
  const over = await at.open()
  await over.publish()
  assert.equal(over.vkeys.length, 2, 'the last keys are not destroyed')
  await over.close()
  await writeFile(ring, text.replace(/"until": \d+/, '"until": 1'))
  const later = await at.open({ onRetired: retired.resolve })
  await later.publish()
  assert.equal(await retired.promise, old)
  assert.deepEqual(later.vkeys, [made])
  assert.deepEqual(
    (await readdir(join(at.home, 'keys'))).filter(name => name.endsWith('.key')),
    ['log-2.key'],
  )
  assert.equal((await verify({ directory: at.directory, vkeys: [old] })).exit, 1)
  assert.equal((await verify({ directory: at.directory, vkeys: [old, made], since: [since] })).exit, 0)
  const listed = await openSigningKeys(later, at)
  assert.deepEqual(
    listed.list().map(each => each.state),
    ['retired', 'signing'],
  )
  await listed.rotate(1e6, {})
  assert.equal(signatures(later.head!.note), 2)
  await later.close()
  assert.deepEqual(at.alarms, [])
})

test('P10: a rotation that a crash interrupts is gone on with at the next start', async t => {
  const at = await place(t)
  const first = await at.open()
  await first.publish()
  await assert.rejects(first.rotate(Date.now() + 1e6, () => Promise.reject(new Error('the process ends'))))
  assert.equal(first.vkeys.length, 1)
  await first.close()
  const again = await at.open()
  const keys = await openSigningKeys(again, at)
  assert.deepEqual(
    at.said.map(({ kind, step }) => [kind, step]),
    [['key.rotated', 'overlap']],
  )
  assert.deepEqual(
    keys.list().map(each => each.state),
    ['signing', 'signing'],
  )
  await again.close()
})

test('P6: a key of the ring that is lost or another is not made anew', async t => {
  const at = await place(t)
  const first = await at.open()
  await (await openSigningKeys(first, at)).rotate(1e6, {})
  await first.close()
  const file = join(at.home, 'keys', 'log-2.key')
  const good = await readFile(file)
  await rm(file)
  await assert.rejects(at.open(), /log-2\.key is not the key that the ring names/)
  await writeFile(file, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await assert.rejects(at.open(), /is not the key/)
  await writeFile(file, good)
  await (await at.open()).close()
})

test('keys from the environment and from a command; a change in the configuration is an entry', async t => {
  const at = await place(t)
  const pems = [1, 2].map(() =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  )
  process.env['SALLYPORT_TEST_LOG_KEY'] = pems[0]!
  t.after(() => delete process.env['SALLYPORT_TEST_LOG_KEY'])
  await writeFile(join(at.home, 'second.pem'), pems[1]!)
  const fromEnvironment = '${env:SALLYPORT_TEST_LOG_KEY}'
  const fromCommand = `command:["cat","${join(at.home, 'second.pem')}"]`
  const steps = [
    [[fromEnvironment], 0, 0],
    [[fromEnvironment, fromCommand], 1, 0],
    [['file:second.pem'], 0, 1],
  ] as const
  for (const [keys, added, removed] of steps) {
    at.said.length = 0
    const checkpointer = await at.open({ keys, base: at.home })
    const signing = await openSigningKeys(checkpointer, at)
    const { note } = await checkpointer.publish()
    assert.equal(signatures(note), keys.length)
    const [said] = at.said
    assert.equal((said?.['added'] as string[] | undefined)?.length ?? 0, added)
    assert.equal((said?.['removed'] as string[] | undefined)?.length ?? 0, removed)
    assert.ok(signing.list().every(each => !each.managed))
    await assert.rejects(signing.rotate(1000, {}), (error: GatewayError) => error.code === 'conflict')
    await checkpointer.close()
  }
  // No overlap: a log that only a stranger's key signs is not gone on with.
  await assert.rejects(at.open({ keys: [fromEnvironment] }), LogAlarm)
  process.env['SALLYPORT_TEST_LOG_KEY'] = 'not a key'
  await assert.rejects(at.open({ keys: [fromEnvironment] }), error => !String(error).includes('not a key'))
})

test('P3: Vault signs, a version at a time; while it does not answer nothing is published and nothing is lost', async t => {
  const at = await place(t)
  const vault = await startFakeVault('sallyport')
  t.after(() => vault.close())
  await writeFile(join(at.home, 'token'), `${vault.token}\n`)
  const of = {
    address: vault.url,
    key: 'sallyport',
    mount: 'transit',
    token: `file:${join(at.home, 'token')}`,
  }
  const failures: string[] = []
  const checkpointer = await at.open({
    keys: [{ vault: of }],
    onFailure: error => failures.push(error.message),
  })
  const { note } = await checkpointer.publish()
  assert.equal((await verify({ directory: at.directory, vkeys: checkpointer.vkeys })).exit, 0)
  at.store.entries.push(...numbered(5, 300))
  vault.broken = { status: 503 }
  await assert.rejects(checkpointer.publish(), /did not sign: Vault answered 503/)
  vault.broken = {
    status: 200,
    body: { data: { signature: `vault:v1:${Buffer.alloc(64).toString('base64')}` } },
  }
  await assert.rejects(checkpointer.publish(), /a signature does not hold/)
  assert.equal(await readFile(join(at.directory, 'checkpoint'), 'utf8'), note)
  assert.equal(checkpointer.trusted, true)
  vault.broken = undefined
  vault.rotate()
  assert.equal((await checkpointer.publish()).size, 300)
  await checkpointer.close()

  const both = await at.open({ keys: [{ vault: { ...of, version: 1 } }, { vault: of }] })
  assert.equal(signatures((await both.publish()).note), 2)
  await both.close()
  const next = await at.open({ keys: [{ vault: { ...of, version: 2 } }] })
  await next.publish()
  assert.equal((await verify({ directory: at.directory, vkeys: next.vkeys })).exit, 0)
  await next.close()
  assert.deepEqual([at.alarms, failures], [[], []])

  await writeFile(join(at.home, 'token'), 'hvs.wrong')
  await assert.rejects(at.open({ keys: [{ vault: of }] }), /Vault answered 403/)
  await assert.rejects(at.open({ keys: [{ vault: { ...of, version: 9 } }] }))
})
