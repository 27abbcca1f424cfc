/** Two simulated months of made-up traffic, the same each time: bench/detection.ts measures more of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attackKinds } from './testing/attacks.ts'
import { alarmsOf, caughtOf } from './testing/figures.ts'
import { simulate } from './testing/simulate.ts'

const months = { seed: 'test', days: 70, share: 0.25 }

test('without an attack at most one finding for an identity and month, of all kinds together', async () => {
  const peace = await simulate(months)
  const { perMonth, byDetector } = alarmsOf(peace, { learning: false })
  assert.ok(perMonth <= 1, `${perMonth} ${JSON.stringify(byDetector)}`)
  assert.ok(alarmsOf(peace, { learning: true }).perMonth <= 1)
})

test('attacks of each kind are noticed, and most of those that are unlike their victim', async () => {
  const caught = new Map(
    caughtOf(await simulate({ ...months, attacked: true })).map(each => [each.kind, each]),
  )
  const stealthy = ['mimicry', 'slow and low']
  for (const { name } of attackKinds) {
    const { attacks, found } = caught.get(name)!
    if (stealthy.some(each => name.startsWith(each))) continue
    assert.ok(found > 0, `${name}: none of ${attacks}`)
  }
  const share = (begins: string): number => {
    const those = [...caught.values()].filter(({ kind }) => kind.startsWith(begins))
    const sum = (of: 'found' | 'attacks'): number => those.reduce((total, each) => total + each[of], 0)
    return sum('found') / sum('attacks')
  }
  for (const each of [
    'surge',
    'exfiltration',
    'a stolen key',
    'sweep',
    'twenty refusals',
    'another connection',
  ])
    assert.ok(share(each) >= 0.6, `${each}: ${share(each)}`)
})
