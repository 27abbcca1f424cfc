/** How often somebody may guess. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tries } from './tries.ts'

const start = 1_700_000_000_000
const limits = { ofAddress: 50, ofName: 10 }

function count(tries: Tries, ip: (i: number) => string, name: (i: number) => string): number {
  for (let i = 0; i < 100_000; i++) if (!tries.may(ip(i), name(i), start)) return i
  return 100_000
}

test('one name is tried ten times, from wherever', () => {
  const tries = new Tries(limits)
  assert.equal(
    count(
      tries,
      i => `192.0.2.${i}`,
      () => 'cam',
    ),
    10,
  )
  assert.ok(tries.may('192.0.2.1', 'bo', start), 'others are not concerned')
})

test('one address tries fifty times, whomever', () => {
  const tries = new Tries(limits)
  assert.equal(
    count(
      tries,
      () => '192.0.2.1',
      i => `person-${i}`,
    ),
    50,
  )
  assert.ok(tries.may('192.0.2.2', 'somebody', start))
})

test('a good try starts the count of the name anew, and not that of the address', () => {
  const tries = new Tries(limits)
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 10; i++) assert.ok(tries.may('192.0.2.1', 'cam', start), `${round} ${i}`)
    tries.good('cam')
  }
  assert.equal(tries.may('192.0.2.1', 'cam', start), false)
})

test('after a quarter of an hour it begins again', () => {
  const tries = new Tries(limits)
  count(
    tries,
    i => `192.0.2.${i}`,
    () => 'cam',
  )
  assert.equal(tries.may('192.0.2.1', 'cam', start + 15 * 60_000), false)
  assert.ok(tries.may('192.0.2.1', 'cam', start + 15 * 60_000 + 1))
})

test('P12: many names and addresses are counted together, and are no way around', () => {
  const tries = new Tries(limits)
  const tried = count(
    tries,
    i => `2001:db8::${i}`,
    i => `person-${i}`,
  )
  assert.ok(tried < 11_000, String(tried))
  assert.equal(tries.may('198.51.100.1', 'a fresh one', start), false)
})
