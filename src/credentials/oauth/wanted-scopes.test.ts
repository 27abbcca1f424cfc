import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openMemoryStorage } from '../../storage/memory/index.ts'
import { WantedScopes } from './wanted-scopes.ts'

function stage() {
  const clock = { at: 1_000_000_000, now: () => clock.at }
  return { clock, wanted: new WantedScopes({ state: openMemoryStorage().state, clock }) }
}

test('what is wanted adds up, for each credential by itself, over a restart', async () => {
  const { state } = openMemoryStorage()
  const clock = { now: () => 0 }
  const wanted = new WantedScopes({ state, clock })
  assert.equal(await wanted.add('ana', ['a', 'b']), true)
  await Promise.all([wanted.add('ana', ['b', 'c']), wanted.add('ana', ['d'])])
  const again = new WantedScopes({ state, clock })
  assert.deepEqual([...(await again.of('ana'))].toSorted(), ['a', 'b', 'c', 'd'])
  assert.deepEqual(await again.of('bo'), [])
})

test('attack: what is no scope, or too many of them, is not kept', async () => {
  const { wanted } = stage()
  for (const scope of ['', 'a b', 'a"', 'a\\', 'ä', 'x'.repeat(129), 'a\n'])
    assert.equal(await wanted.add('ana', [scope]), false, JSON.stringify(scope))
  assert.equal(
    await wanted.add(
      'ana',
      Array.from({ length: 50 }, (_, i) => `s${i}`),
    ),
    true,
  )
  assert.equal(await wanted.add('ana', ['one-more']), false)
  assert.equal((await wanted.of('ana')).length, 50)
})

test('attack: a person is sent to consent to more three times in a day; forgetting what was wanted does not forget that', async () => {
  const { clock, wanted } = stage()
  await wanted.consented('ana')
  for (const scope of ['a', 'b', 'c']) {
    assert.equal(await wanted.add('ana', [scope]), true)
    await wanted.consented('ana')
    clock.at += 1000
  }
  assert.equal(await wanted.add('ana', ['d']), false)
  assert.equal(await wanted.add('ana', ['a']), false, 'nor for what the server was not given')
  await wanted.forget('ana')
  assert.deepEqual(await wanted.of('ana'), [])
  assert.equal(await wanted.add('ana', ['d']), false)
  clock.at += 24 * 3_600_000
  assert.equal(await wanted.add('ana', ['d']), true)
  assert.deepEqual(await wanted.of('ana'), ['d'])
})
