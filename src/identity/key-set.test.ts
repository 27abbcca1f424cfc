import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKeyRing, type KeyRing } from '../../practice/identity-provider/key-ring.ts'
import { issuerConfig } from '../config/identity.ts'
import { GatewayError } from '../errors.ts'
import { KeySet } from './key-set.ts'

const seconds = 1000
const minutes = 60 * seconds

/** A key set over a ring, with a clock that the test moves and a source that it can break or hold up. */
async function world(ring?: KeyRing) {
  const keyRing = ring ?? (await createKeyRing('ES256'))
  const of = {
    now: 1_000_000,
    loads: 0,
    down: false,
    document: undefined as unknown,
    gate: Promise.resolve(),
  }
  const source = {
    async load(): Promise<unknown> {
      of.loads++
      await of.gate
      if (of.down) throw new Error('down')
      return of.document ?? keyRing.jwks()
    },
    close: () => Promise.resolve(),
  }
  const config = issuerConfig({ name: 'a', issuer: 'https://idp.example.com', audience: 'sallyport' })
  return { of, keyRing, keys: new KeySet(config, source, { now: () => of.now }) }
}

const unavailable = (error: unknown) => error instanceof GatewayError && error.code === 'identity-unavailable'

/** Lets a background fetch end. */
const settle = () => new Promise(resolve => setImmediate(resolve))

test('keys are fetched once, however many ask at the same time', async () => {
  const { of, keys } = await world()
  const found = await Promise.all(Array.from({ length: 50 }, () => keys.find('ES256', 'practice-1')))
  assert.equal(of.loads, 1)
  assert.ok(found.every(each => each.length === 1 && each[0] === found[0]![0]))
})

test('P6: unknown key ids cause one fetch per cooldown, whoever sends them', async () => {
  const { of, keys } = await world()
  await keys.find('ES256', 'practice-1')
  for (let i = 0; i < 100; i++) assert.deepEqual(await keys.find('ES256', `made-up-${i}`), [])
  assert.equal(of.loads, 2)
  await Promise.all(Array.from({ length: 100 }, (_, i) => keys.find('ES256', `more-${i}`)))
  assert.equal(of.loads, 2)
  of.now += 10 * seconds
  await Promise.all(Array.from({ length: 100 }, (_, i) => keys.find('ES256', `again-${i}`)))
  assert.equal(of.loads, 3)
})

test('a new key is found at once after a rotation; the earlier one stays while it is published', async () => {
  const { keyRing, keys } = await world()
  const [first] = await keys.find('ES256', 'practice-1')
  await keyRing.rotate()
  assert.equal((await keys.find('ES256', 'practice-2')).length, 1)
  assert.deepEqual(await keys.find('ES256', 'practice-1'), [first])
  assert.equal(first!.live, true)
})

test('P6: a key that is no longer published dies at the next refresh', async () => {
  const { of, keyRing, keys } = await world()
  const [first] = await keys.find('ES256', 'practice-1')
  await keyRing.rotate({ forget: true })
  of.now += 5 * minutes
  assert.equal(keys.usable(), true)
  await settle()
  assert.equal(of.loads, 2)
  assert.equal(first!.live, false)
  assert.deepEqual(await keys.find('ES256', 'practice-1'), [])
})

test('P6: other material under the same key id is another key', async () => {
  const { of, keys } = await world()
  const [first] = await keys.find('ES256', 'practice-1')
  of.document = (await createKeyRing('ES256')).jwks()
  of.now += 5 * minutes
  keys.usable()
  await settle()
  const [second] = await keys.find('ES256', 'practice-1')
  assert.notEqual(first, second)
  assert.deepEqual([first!.live, second!.live], [false, true])
})

test('P6: keys outlive an outage of the issuer up to max_age, then nothing is accepted', async () => {
  const { of, keys } = await world()
  await keys.find('ES256', 'practice-1')
  of.down = true
  of.now += 59 * minutes
  assert.equal((await keys.find('ES256', 'practice-1')).length, 1)
  await settle()
  assert.match(keys.status().lastError ?? '', /down/)
  of.now += 1 * minutes
  assert.equal(keys.usable(), false)
  await assert.rejects(keys.find('ES256', 'practice-1'), unavailable)
  of.down = false
  of.now += 30 * seconds
  assert.equal((await keys.find('ES256', 'practice-1')).length, 1)
  assert.equal(keys.status().lastError, undefined)
})

test('P6: an issuer that is down is not asked at each request, and is found again when it is back', async () => {
  const { of, keys } = await world()
  of.down = true
  for (let i = 0; i < 20; i++) await assert.rejects(keys.find('ES256', 'practice-1'), unavailable)
  assert.equal(of.loads, 1)
  const asked: number[] = []
  for (let second = 0; second < 180; second++) {
    of.now += seconds
    const before = of.loads
    await assert.rejects(keys.find('ES256', 'practice-1'), unavailable)
    if (of.loads > before) asked.push(second + 1)
  }
  assert.deepEqual(asked, [1, 3, 7, 15, 31, 61, 91, 121, 151])
  of.down = false
  of.now += 30 * seconds
  assert.equal((await keys.find('ES256', 'practice-1')).length, 1)
})

test('P6: an unknown key id during an outage is a fault, not a verdict', async () => {
  const { of, keys } = await world()
  await keys.find('ES256', 'practice-1')
  of.down = true
  await assert.rejects(keys.find('ES256', 'new'), unavailable)
  await assert.rejects(keys.find('ES256', 'new'), unavailable)
  assert.equal(of.loads, 2)
  assert.equal((await keys.find('ES256', 'practice-1')).length, 1)
})

test('who comes while a fetch is under way waits for it', async () => {
  const { of, keyRing, keys } = await world()
  await keys.find('ES256', 'practice-1')
  await keyRing.rotate()
  let open = (): void => {}
  of.gate = new Promise(resolve => {
    open = resolve
  })
  const waiting = [keys.find('ES256', 'practice-2'), keys.find('ES256', 'practice-2')]
  open()
  assert.deepEqual(
    (await Promise.all(waiting)).map(each => each.length),
    [1, 1],
  )
  assert.equal(of.loads, 2)
})

test('P6: only public signing keys of a fitting kind are used', async () => {
  const ring = await createKeyRing('ES256')
  const jwk = ring.jwks().keys[0]!
  const { keys, of } = await world(ring)
  of.document = {
    keys: [
      { ...jwk, kid: 'encryption', use: 'enc' },
      { ...jwk, kid: 'leaked', d: 'AAAA' },
      { ...jwk, kid: 'wrap', key_ops: ['wrapKey'] },
      { ...jwk, kid: 'other-curve', crv: 'P-384', alg: undefined },
      { ...jwk, kid: 'other-alg', alg: 'ES384' },
      { kty: 'oct', k: 'AAAA', kid: 'secret' },
      'no key',
      null,
      { ...jwk, kid: 'fit', key_ops: ['verify'], alg: undefined },
      { ...jwk, alg: 'ES256', kid: 'fit-too' },
    ],
  }
  assert.equal((await keys.find('ES256', undefined)).length, 2)
  assert.equal((await keys.find('ES256', 'fit')).length, 1)
  for (const alg of ['HS256', 'RS256', 'PS256', 'EdDSA', 'ES512']) {
    assert.deepEqual(await keys.find(alg, 'fit').catch(() => []), [], alg)
  }
})

test('P6: a document that is not a JWK set changes nothing', async () => {
  for (const document of [[], {}, { keys: {} }, 'keys', { keys: Array.from({ length: 300 }, () => ({})) }]) {
    const { of, keys } = await world()
    await keys.find('ES256', 'practice-1')
    of.document = document
    of.now += 6 * minutes
    keys.usable()
    await settle()
    assert.equal((await keys.find('ES256', 'practice-1')).length, 1)
    assert.notEqual(keys.status().lastError, undefined)
  }
})
