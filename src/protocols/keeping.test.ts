import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { configSchema } from '../config/schema.ts'
import type { Owner } from '../gateway/keeping.ts'
import { openEmbeddedStorage } from '../storage/embedded/storage.ts'
import type { Storage } from '../storage/storage.ts'
import { openKeeping, type OpenKeeping, type Room } from './keeping.ts'

const owner: Owner = {
  subject: {
    issuer: 'https://idp.example.com',
    id: 'ana',
    kind: 'agent',
    groups: [],
    method: 'token',
    claims: {},
  },
  connection: 'tools',
}
const marker = 'Planted 9b21d0 words of a result'
const later = 1000

let directory: string
let storage: Storage
let now = 0

function open(room?: Room): Promise<OpenKeeping> {
  const clock = { now: () => now }
  const keys = join(directory, 'keys')
  return openKeeping({ state: storage.state, keys, clock, ...(room === undefined ? {} : { room }) })
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-keeping-'))
  const { storage: config } = configSchema.parse({ origin: 'log.example.com' })
  storage = await openEmbeddedStorage({ directory: join(directory, 'data'), config })
})

after(async () => {
  await storage.close()
  await rm(directory, { recursive: true, force: true })
})

test('what is kept is the last that was put, is there after a restart, and is gone after its time', async () => {
  const keeping = await open()
  keeping.close()
  const large = Buffer.alloc(1024 * 1024 + 9, marker)
  assert.equal(await keeping.put(owner, 'one', { value: Buffer.from('first'), until: later }), true)
  assert.equal(await keeping.put(owner, 'one', { value: large, until: later }), true)
  const again = await open()
  again.close()
  assert.equal(again.bytes, large.length)
  assert.deepEqual(await again.get(owner, 'one'), large)
  now = later
  assert.equal(await again.get(owner, 'one'), undefined)
  await again.sweep()
  assert.equal(again.bytes, 0)
  assert.deepEqual(await storage.state.list('kept-result'), [])
  now = 0
})

test('P9: nobody but its owner has it, on no other connection, and nobody else can put in its place', async () => {
  const keeping = await open()
  keeping.close()
  await keeping.put(owner, 'two', { value: Buffer.from('of ana'), until: later })
  const bo: Owner = { ...owner, subject: { ...owner.subject, id: 'bo' } }
  const forBo: Owner = {
    ...owner,
    subject: { ...owner.subject, onBehalfOf: { issuer: 'https://idp.example.com', id: 'bo' } },
  }
  for (const other of [bo, forBo, { ...owner, connection: 'elsewhere' }]) {
    assert.equal(await keeping.get(other, 'two'), undefined)
    assert.equal(await keeping.put(other, 'two', { value: Buffer.from('mine'), until: later }), false)
  }
  const groups = { ...owner, subject: { ...owner.subject, groups: ['new'] } }
  assert.equal((await keeping.get(groups, 'two'))?.toString(), 'of ana')
})

test('P4: no file of the store has a word of what is kept', async () => {
  const keeping = await open()
  keeping.close()
  await keeping.put(owner, 'three', { value: Buffer.from(marker), until: later })
  const base64 = Buffer.from(marker).toString('base64').slice(0, 24)
  for (const each of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!each.isFile()) continue
    const text = (await readFile(join(each.parentPath, each.name))).toString('latin1')
    assert.ok(!text.includes(marker) && !text.includes(base64), each.name)
  }
})

test('P12: room is bounded in all and for each owner, and what does not fit leaves what was there', async () => {
  const keeping = await open({ bytes: 1000, bytesOfOne: 100, valuesOfOne: 4 })
  keeping.close()
  const cam: Owner = { ...owner, subject: { ...owner.subject, id: 'cam' } }
  assert.equal(await keeping.put(cam, 'a', { value: Buffer.alloc(60), until: later }), true)
  assert.equal(await keeping.put(cam, 'b', { value: Buffer.alloc(60), until: later }), false)
  assert.equal(await keeping.put(cam, 'a', { value: Buffer.alloc(101), until: later }), false)
  assert.deepEqual(await keeping.get(cam, 'a'), Buffer.alloc(60))
  for (const id of ['b', 'c', 'd'])
    assert.equal(await keeping.put(cam, id, { value: Buffer.alloc(1), until: later }), true)
  assert.equal(await keeping.put(cam, 'e', { value: Buffer.alloc(1), until: later }), false)
})
