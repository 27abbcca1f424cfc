import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { Approval } from '../approvals/approval.ts'
import { GatewayError } from '../errors.ts'
import { type Subject, subjectKey } from '../model/subject.ts'
import { openEmbeddedStorage } from '../storage/embedded/storage.ts'
import type { Storage } from '../storage/storage.ts'
import { configSchema } from '../config/schema.ts'
import { openDeferrals, type OpenDeferrals } from './deferrals.ts'

const ana: Subject = {
  issuer: 'https://idp.example.com',
  id: 'ana',
  kind: 'agent',
  groups: [],
  method: 'token',
  claims: {},
}
const never = new AbortController().signal
const marker = 'Planted 7f3c1e words of a body'

let directory: string
let storage: Storage
let deferrals: OpenDeferrals
const states = new Map<string, Approval['state']>()

const approvals = {
  async get(id: string): Promise<Approval> {
    const state = states.get(id)
    if (state === undefined) throw new GatewayError('not-found')
    const terms = { rule: 'writes' }
    const of = { requesterKey: subjectKey(ana), connection: 'demo', votes: [], expiresAt: 5, terms }
    return { id, state, ...of } as unknown as Approval
  },
  wait: async (approval: Approval): Promise<Approval> => approval,
  async cancel(id: string): Promise<Approval> {
    states.set(id, 'cancelled')
    return await approvals.get(id)
  },
}

const open = (): Promise<OpenDeferrals> =>
  openDeferrals({ state: storage.state, approvals, keys: join(directory, 'keys') })

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-deferrals-'))
  const { storage: config } = configSchema.parse({ origin: 'log.example.com' })
  storage = await openEmbeddedStorage({ directory: join(directory, 'data'), config })
})

after(async () => {
  await storage.close()
  await rm(directory, { recursive: true, force: true })
})

beforeEach(async () => {
  states.clear()
  deferrals = await open()
  deferrals.close()
})

test('a kept call is there after a restart, whatever its size, and gone once its approval is over', async () => {
  const calls = [Buffer.from(marker), Buffer.alloc(3 * 1024 * 1024 + 7, marker), Buffer.alloc(0)]
  for (const [i, call] of calls.entries()) {
    states.set(`ap_${i}`, 'pending')
    assert.equal(await deferrals.keep(`ap_${i}`, call), true)
  }
  const later = await open()
  later.close()
  assert.equal(
    later.bytes,
    calls.reduce((sum, each) => sum + each.length, 0),
  )
  for (const [i, call] of calls.entries()) assert.deepEqual(await later.find(`ap_${i}`), call)
  await later.release('ap_1')
  assert.ok(await later.find('ap_1'), 'its approval is still open')
  for (const i of calls.keys()) states.set(`ap_${i}`, 'consumed')
  await later.sweep()
  for (const i of calls.keys()) assert.equal(await later.find(`ap_${i}`), undefined)
  assert.equal(later.bytes, 0)
  assert.deepEqual(await storage.state.list('deferred-call'), [])
})

test('the first call kept stays, and racing ones wait until it is there', async () => {
  states.set('ap_a', 'pending')
  const all = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const kept = await deferrals.keep('ap_a', Buffer.from(`call ${i}`))
      return kept && (await deferrals.find('ap_a'))?.toString()
    }),
  )
  assert.deepEqual(new Set(all), new Set(['call 0']))
})

test('P4: no file of the store has a word of a kept call, and the key is this user’s alone', async () => {
  states.set('ap_b', 'pending')
  await deferrals.keep('ap_b', Buffer.from(marker))
  const base64 = Buffer.from(marker).toString('base64').slice(0, 24)
  for (const each of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!each.isFile()) continue
    const text = (await readFile(join(each.parentPath, each.name))).toString('latin1')
    assert.ok(!text.includes(marker) && !text.includes(base64), each.name)
  }
  assert.equal((await stat(join(directory, 'keys/deferred-calls.key'))).mode & 0o777, 0o600)
})

test('a call that was moved, altered or sealed under another key does not open', async () => {
  states.set('ap_c', 'pending').set('ap_d', 'pending')
  await deferrals.keep('ap_c', Buffer.from('one'))
  await deferrals.keep('ap_d', Buffer.from('two'))
  const { state } = storage
  const [one, two] = [await state.get('deferred-call', 'ap_c'), await state.get('deferred-call', 'ap_d')]
  await state.put('deferred-call', 'ap_c', two!.value, one!.version)
  assert.equal(await deferrals.find('ap_c'), undefined)
  await writeFile(join(directory, 'keys/deferred-calls.key'), `${Buffer.alloc(32, 1).toString('base64')}\n`)
  const other = await open()
  other.close()
  assert.equal(await other.find('ap_d'), undefined)
})

test('P9: an approval is followed by its requester on its connection, and exists for nobody else', async () => {
  states.set('ap_e', 'pending').set('ap_f', 'denied')
  const follow = (more: object) =>
    deferrals.follow(
      { subject: ana, connection: 'demo', approval: 'ap_e', ...more },
      { ms: 0, signal: never },
    )
  assert.equal((await follow({}))?.approval.state, 'pending')
  assert.equal((await follow({ approval: 'ap_f' }))?.denial?.reason, 'approval-denied')
  assert.equal(await follow({ connection: 'other' }), undefined)
  assert.equal(await follow({ approval: 'ap_none' }), undefined)
  for (const other of [{ id: 'bo' }, { kind: 'user' as const }, { onBehalfOf: { issuer: 'x', id: 'cam' } }])
    assert.equal(await follow({ subject: { ...ana, ...other } }), undefined)
})
