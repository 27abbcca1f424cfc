import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { identitySection } from '../config/identity.ts'
import { GatewayError } from '../errors.ts'
import type { StateStore, Versioned } from '../storage/storage.ts'
import type { Identified } from './authenticator.ts'
import { createAuthenticator } from './create-authenticator.ts'
import { makeToken, readTokenId } from './token-format.ts'
import { GatewayTokens, type NewToken } from './tokens.ts'

/** A state store in memory that counts, can fail, and can be held up in the middle of a read. */
class FakeState implements StateStore {
  readonly kept = new Map<string, Versioned<string>>()
  gets = 0
  down = false
  beforeGet: (() => Promise<void>) | undefined

  async get<T>(_space: string, key: string): Promise<Versioned<T> | undefined> {
    this.gets++
    if (this.down) throw new Error('the disk is gone')
    const found = this.kept.get(key)
    const hold = this.beforeGet
    this.beforeGet = undefined
    await hold?.()
    return found && { value: JSON.parse(found.value) as T, version: found.version }
  }

  put<T>(...[, key, value, expected]: [string, string, T, number]): Promise<boolean> {
    if (this.down) return Promise.reject(new Error('the disk is gone'))
    if ((this.kept.get(key)?.version ?? 0) !== expected) return Promise.resolve(false)
    this.kept.set(key, { value: JSON.stringify(value), version: expected + 1 })
    return Promise.resolve(true)
  }

  delete(_space: string, key: string): Promise<void> {
    this.kept.delete(key)
    return Promise.resolve()
  }

  list<T>(_space: string, options: { after?: string; limit?: number } = {}) {
    const keys = [...this.kept.keys()].sort().filter(key => key > (options.after ?? ''))
    const rows = keys.slice(0, options.limit ?? 1000).map(key => {
      const { value, version } = this.kept.get(key)!
      return { key, value: JSON.parse(value) as T, version }
    })
    return Promise.resolve(rows)
  }
}

const hour = 3_600_000
const day = 24 * hour

function world() {
  const state = new FakeState()
  const clock = { time: 100 * day, now: () => clock.time }
  const config = identitySection.parse({}).tokens
  const open = () => new GatewayTokens({ state, config, clock })
  return { state, clock, open, tokens: open() }
}

const agent: NewToken = {
  name: 'nightly',
  subject: { id: 'nightly-agent', kind: 'agent', name: 'Nightly' },
  groups: ['agents'],
  onBehalfOf: { issuer: 'https://idp.example.com', id: '7', email: 'ana@example.com' },
  createdBy: 'test',
}

const reasonOf = (identified: Identified) =>
  'refusal' in identified ? identified.refusal.reason : 'accepted'

/** Lets work behind the request end. */
const settle = () => new Promise(resolve => setImmediate(resolve))

test('P9: a token stands for the subject it was made for', async () => {
  const { tokens, clock } = world()
  const { token, record } = await tokens.create(agent)
  const identified = await tokens.identify({ token })
  assert.ok('subject' in identified)
  assert.deepEqual(identified.subject, {
    issuer: 'sallyport',
    id: 'nightly-agent',
    name: 'Nightly',
    kind: 'agent',
    groups: ['agents'],
    onBehalfOf: agent.onBehalfOf,
    method: 'token',
    claims: { token_id: record.id, token_name: 'nightly' },
    expiresAt: clock.time + 30 * day,
  })
})

test('the store never holds a token, nor does a listing', async () => {
  const { tokens, state } = world()
  const { token, record } = await tokens.create(agent)
  await tokens.identify({ token })
  await settle()
  const everything =
    JSON.stringify([...state.kept]) + JSON.stringify(await tokens.list()) + JSON.stringify(record)
  assert.ok(everything.includes(record.id))
  assert.ok(!everything.includes(token.slice(31, 70)))
  assert.ok(!('hash' in (await tokens.list())[0]!))
})

test('known tokens are answered without waiting and without the store', async () => {
  const { tokens, state } = world()
  const { token } = await tokens.create(agent)
  await tokens.identify({ token })
  await settle()
  const before = state.gets
  const identified = tokens.identify({ token })
  assert.ok(!(identified instanceof Promise))
  assert.equal(reasonOf(identified), 'accepted')
  assert.equal(state.gets, before)
})

test('P6: a token ends at its time, cached or not', async () => {
  const { tokens, clock } = world()
  const { token } = await tokens.create({ ...agent, lifetime: 4000 })
  clock.time += 3999
  assert.equal(reasonOf(await tokens.identify({ token })), 'accepted')
  clock.time += 1
  assert.equal(reasonOf(await tokens.identify({ token })), 'token-expired')
})

test('P6: a revocation is seen at once here and within `recheck` elsewhere', async () => {
  const { tokens, open, clock } = world()
  const elsewhere = open()
  const { token, record } = await tokens.create(agent)
  for (const each of [tokens, elsewhere]) assert.equal(reasonOf(await each.identify({ token })), 'accepted')
  await settle()
  const revoked = await tokens.revoke(record.id, 'ana')
  assert.deepEqual(revoked?.revoked, { at: clock.time, by: 'ana' })
  assert.equal(reasonOf(await tokens.identify({ token })), 'token-revoked')
  assert.equal(reasonOf(await elsewhere.identify({ token })), 'accepted')
  clock.time += 5000
  assert.equal(reasonOf(await elsewhere.identify({ token })), 'token-revoked')
  clock.time += 1000
  assert.deepEqual((await tokens.revoke(record.id, 'bo'))?.revoked?.by, 'ana')
  assert.equal(await tokens.revoke('tok_none', 'bo'), undefined)
})

test('P6: what was read before a revocation is not remembered after it', async () => {
  const { tokens, state } = world()
  const { token, record } = await tokens.create(agent)
  state.beforeGet = async () => {
    await tokens.revoke(record.id, 'ana')
  }
  await tokens.identify({ token })
  assert.equal(reasonOf(await tokens.identify({ token })), 'token-revoked')
})

test('P6: a store that cannot be read is a fault, not a verdict', async () => {
  const { tokens, state } = world()
  const { token } = await tokens.create(agent)
  state.down = true
  await assert.rejects(
    async () => tokens.identify({ token }),
    (error: unknown) => error instanceof GatewayError && error.code === 'identity-unavailable',
  )
})

test('P6: the right id with another secret is unknown', async () => {
  const { tokens, clock } = world()
  const { record } = await tokens.create(agent)
  const forged = forgeFor(record.id, clock.time)
  assert.equal(readTokenId(forged), record.id)
  assert.equal(reasonOf(await tokens.identify({ token: forged })), 'token-unknown')
  assert.equal(reasonOf(await tokens.identify({ token: makeToken(clock.time).token })), 'token-unknown')
})

test('P6: no change of a token is accepted', async () => {
  const { tokens } = world()
  const { token } = await tokens.create(agent)
  await tokens.identify({ token })
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: token.length }),
      fc.string({ maxLength: 3 }),
      fc.nat({ max: 3 }),
      async (at, put, cut) => {
        const changed = token.slice(0, at) + put + token.slice(at + cut)
        if (changed !== token && tokens.recognizes({ token: changed }))
          assert.notEqual(reasonOf(await tokens.identify({ token: changed })), 'accepted')
      },
    ),
    { numRuns: 500 },
  )
})

test('last use is kept to the hour, and at most written once in it', async () => {
  const { tokens, state, clock } = world()
  const { token, record } = await tokens.create(agent)
  clock.time += 10 * 60_000
  for (let i = 0; i < 20; i++) {
    await tokens.identify({ token })
    await settle()
  }
  assert.equal((await tokens.get(record.id))?.lastUsed, 100 * day)
  assert.equal(state.kept.get(record.id)?.version, 2)
  clock.time += hour
  await tokens.identify({ token })
  await settle()
  assert.equal((await tokens.get(record.id))?.lastUsed, 100 * day + hour)
})

test('lists page by page, oldest first', async () => {
  const { tokens, clock } = world()
  const made: string[] = []
  for (let i = 0; i < 5; i++) {
    clock.time += 1
    made.push((await tokens.create(agent)).record.id)
  }
  const first = await tokens.list({ limit: 3 })
  const rest = await tokens.list({ after: first.at(-1)!.id })
  assert.deepEqual(
    [...first, ...rest].map(each => each.id),
    made,
  )
})

test('what makes no sense is refused before anything is kept', async () => {
  const { tokens, state } = world()
  const wrong: Partial<NewToken>[] = [
    { name: '' },
    { name: 'a\nb' },
    { subject: { id: '', kind: 'agent' } },
    { lifetime: 0 },
    { lifetime: 1.5 },
    { lifetime: 91 * day },
    { groups: ['\u0000'] },
    { subject: { id: 'x', kind: 'service' } },
  ]
  for (const each of wrong) {
    await assert.rejects(tokens.create({ ...agent, ...each }), { code: 'invalid-request' })
  }
  assert.equal(state.kept.size, 0)
})

test('the form: 79 safe characters, 256 random bits, a checksum', () => {
  const { id, token } = makeToken(Date.now())
  assert.match(token, /^spt_[0-9a-z]{26}[0-9A-Za-z]{49}$/)
  assert.equal(token.length, 79)
  assert.equal(readTokenId(token), id)
  assert.equal(readTokenId(`${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`), undefined)
  assert.equal(new Set(Array.from({ length: 1000 }, () => makeToken(0).token)).size, 1000)
})

test('the authenticator asks the provider that knows the form', async () => {
  const { tokens, clock } = world()
  const { token } = await tokens.create(agent)
  const authenticator = createAuthenticator({ issuers: [], providers: [tokens], clock })
  assert.equal(reasonOf(await authenticator.identify({ token })), 'accepted')
  assert.equal(reasonOf(await authenticator.identify({ token: `${token}x` })), 'token-malformed')
  assert.equal(reasonOf(await authenticator.identify({ token: 'spt' })), 'token-unrecognized')
  assert.deepEqual(
    authenticator.status().map(each => each.name),
    ['gateway tokens'],
  )
  await authenticator.warm()
  await authenticator.close()
})

/** A well-formed token with a given id and a secret of its own. */
function forgeFor(id: string, now: number): string {
  for (;;) {
    const other = makeToken(now).token
    const body = `spt_${id.slice(4)}${other.slice(30, 73)}`
    const forged = body + checksumOf(body)
    if (readTokenId(forged) === id) return forged
  }
}

/** Finds the checksum as an attacker would: it is no secret. */
function checksumOf(body: string): string {
  const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  let crc = 0xffffffff
  for (const byte of Buffer.from(body)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  let rest = (crc ^ 0xffffffff) >>> 0
  let text = ''
  for (let i = 0; i < 6; i++, rest = Math.floor(rest / 62)) text = base62[rest % 62] + text
  return text
}
