import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Recent } from './recent.ts'

test('P12: what is kept is bounded, and gives what was put in or nothing', () => {
  const puts = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), fc.integer()), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(puts, all => {
      const recent = new Recent<number>(4)
      const last = new Map<string, number>()
      for (const [key, value] of all) {
        recent.set(key, value)
        last.set(key, value)
        assert.equal(recent.get(key), value)
        const found = [...last].filter(([each]) => recent.get(each) !== undefined)
        assert.ok(found.length <= 4, `${found.length} kept`)
        for (const [each, own] of found) assert.equal(recent.get(each), own)
      }
    }),
  )
})

test('what is asked for goes on being kept', () => {
  const recent = new Recent<string>(10)
  recent.set('asked', 'x')
  recent.set('not asked', 'x')
  for (let other = 0; other < 100; other++) {
    recent.set(`other ${other}`, 'x')
    assert.equal(recent.get('asked'), 'x')
  }
  assert.equal(recent.get('not asked'), undefined)
})
