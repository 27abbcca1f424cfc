import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalJson } from './canonical-json.ts'

test('RFC 8785 section 3.2.3: keys are sorted by UTF-16 code units', () => {
  const value = {
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ufb33': 'Hebrew Letter Dalet With Dagesh',
    '1': 'One',
    '\ud83d\ude00': 'Emoji: Grinning Face',
    '\u0080': 'Control',
    '\u00f6': 'Latin Small Letter O With Diaeresis',
  }
  const keys = Object.keys(JSON.parse(canonicalJson(value)) as object)
  assert.deepEqual(keys, ['1', '\r', '\u0080', '\u00f6', '\u20ac', '\ud83d\ude00', '\ufb33'])
})

test('RFC 8785 section 3.2.2: the example of the specification', () => {
  const input = JSON.parse(
    '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],' +
      '"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
  ) as unknown
  assert.equal(
    canonicalJson(input),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
      '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  )
})

test('RFC 8785 appendix B: numbers', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [-0, '0'],
    [5e-324, '5e-324'],
    [-5e-324, '-5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [9007199254740992, '9007199254740992'],
    [-9007199254740992, '-9007199254740992'],
    [295147905179352830000, '295147905179352830000'],
    [1e21, '1e+21'],
    [9.999999999999997e22, '9.999999999999997e+22'],
    [0.000001, '0.000001'],
    [1e-7, '1e-7'],
    [333333333.33333325, '333333333.33333325'],
  ]
  for (const [value, text] of cases) assert.equal(canonicalJson(value), text)
})

test('what has no canonical form is refused, never dropped', () => {
  class Point {
    x = 1
  }
  const looped: unknown[] = []
  looped.push(looped)
  const hostile = [
    undefined,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1n,
    Symbol('s'),
    () => 1,
    '\ud800',
    'a\udc00b',
    { '\ud800': 1 },
    { a: undefined },
    [undefined],
    new Date(0),
    Buffer.from('x'),
    new Map(),
    new Point(),
    looped,
  ]
  for (const value of hostile) assert.throws(() => canonicalJson(value), TypeError)
})

test('property: any JSON value survives, and equal values give equal bytes however their keys were ordered', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), value => {
      const text = canonicalJson(value)
      const plain = JSON.parse(JSON.stringify(value)) as unknown
      assert.deepEqual(JSON.parse(text), plain)
      assert.equal(canonicalJson(reordered(plain)), text)
      assert.equal(canonicalJson(JSON.parse(text)), text)
    }),
    { numRuns: 500 },
  )
})

function reordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reordered)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, each]): [string, unknown] => [key, reordered(each)])
  const out: Record<string, unknown> = {}
  for (const [key, each] of entries.toReversed()) {
    Object.defineProperty(out, key, { value: each, enumerable: true, writable: true, configurable: true })
  }
  return out
}
