import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { SealedStates } from './sealed-state.ts'

const binding = { principal: 'ana', digest: 'd1' }
const refused = { code: -32602 }

test('what was sealed opens for the same identity and request, and after a restart', () => {
  const key = randomBytes(32)
  const sealed = new SealedStates(key).seal({ round: 3, upstream: 'theirs' }, binding)
  for (const states of [new SealedStates(key), new SealedStates(key)]) {
    const { round, upstream } = states.open(sealed, binding)
    assert.deepEqual([round, upstream], [3, 'theirs'])
  }
})

test('attack: a state that is altered, cut, made up or sealed elsewhere does not open', () => {
  const states = new SealedStates()
  const sealed = states.seal({ round: 1 }, binding)
  const bytes = Buffer.from(sealed.slice(4), 'base64url')
  for (let i = 0; i < bytes.length; i++) {
    const flipped = Buffer.from(bytes)
    flipped[i]! ^= 1
    assert.throws(() => states.open(`sp1.${flipped.toString('base64url')}`, binding), refused)
  }
  const foreign = new SealedStates().seal({ round: 1 }, binding)
  for (const text of [foreign, '', 'sp1.', 'sp1.AAAA', sealed.slice(0, -8), sealed.slice(4), `sp2.${sealed}`])
    assert.throws(() => states.open(text, binding), refused)
})

test('attack: another identity, or another call, can not use a state', () => {
  const states = new SealedStates()
  const sealed = states.seal({ round: 1 }, binding)
  assert.throws(() => states.open(sealed, { ...binding, principal: 'bo' }), refused)
  assert.throws(() => states.open(sealed, { ...binding, digest: 'd2' }), refused)
})

test('a state is good for a quarter of an hour', () => {
  let now = 1_000_000
  const states = new SealedStates(randomBytes(32), () => now)
  const sealed = states.seal({ round: 1 }, binding)
  now += 15 * 60_000 - 1
  assert.equal(states.open(sealed, binding).round, 1)
  now += 1
  assert.throws(() => states.open(sealed, binding), refused)
})

test('attack: the word that a person has approved is taken once, and by no other process', () => {
  const key = randomBytes(32)
  const states = new SealedStates(key)
  const word = states.clear()
  assert.equal(states.redeem(word), true)
  assert.equal(states.redeem(word), false)
  assert.equal(new SealedStates(key).redeem(states.clear()), false)
  assert.equal(states.redeem('made.up'), false)
})
