import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseUnambiguous } from './unambiguous-json.ts'

const read = (text: string, maxDepth = 64) => parseUnambiguous(text, { maxDepth })

test('a repeated key is found wherever it is and however it is spelled', () => {
  for (const text of [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"x":{"b":1,"c":[],"b":2}}',
    '{"x":{"a":1},"x":{"b":1,"c":2}}',
    '[{"a":{}},{"a":[{"k":1,"k":1}]}]',
    '{"a\\"":1,"a\\"":2}',
    '{"":1,"":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"1":1,"1":2}',
  ]) {
    assert.equal(read(text), undefined, text)
  }
})

test('the same name in different objects, in values and in lists is no repetition', () => {
  for (const text of [
    '{"a":{"a":{"a":1}}}',
    '{"a":"a","b":"a"}',
    '["a","a"]',
    '{"a":["b","b"],"b":1}',
    '{"a":"\\"b\\":1,\\"b\\":2"}',
    '"a"',
    '{}',
    '1',
  ]) {
    assert.deepEqual(read(text)?.value, JSON.parse(text), text)
  }
})

test('what is no JSON is not read', () => {
  for (const text of [
    '',
    '{',
    '{a:1}',
    '"',
    '"\\"',
    '{"a":1}}',
    '{"a"',
    '\\',
    '"\\":',
    '[1,]',
    '{"a":1,}',
    'NaN',
  ])
    assert.equal(read(text), undefined, text)
})

test('what an earlier document taught the parser does not change the next one', () => {
  // V8 matches `\u006`, five characters, to the key `\u006`, also five, of the first document.
  for (const learned of ['\\u006', '\\', '\\n', '\\u', '\\"']) {
    for (let i = 0; i < 5; i++) JSON.parse(JSON.stringify({ first: 1, [learned]: 2 }))
  }
  for (const [text, key] of [
    ['{"first":1,"\\u0061dmin":true}', 'admin'],
    ['{"first":1,"\\"":true}', '"'],
    ['{"first":1,"\\u0061":true}', 'a'],
    ['{"first":1,"\\n\\t":true}', '\n\t'],
    ['{"first":1,"\\\\":true}', '\\'],
    ['{"first":1,"\\u0061b":true}', 'ab'],
  ] as const) {
    assert.deepEqual(read(text)?.value, { first: 1, [key]: true }, text)
    const exact = parseUnambiguous(text, { maxDepth: 64, readLeaf: value => value })
    assert.deepEqual(exact?.value, { first: 1, [key]: true }, text)
  }
})

test('a key that looks like what stands in for escaped ones stays what it is', () => {
  for (const text of [
    '{"\uE0000":1,"\\u0061":2}',
    '{"\uE000\uE0000":1,"\\n":2,"\uE0001":3}',
    '{"\\uE0000":1,"a":"\uE0000"}',
  ])
    assert.deepEqual(read(text)?.value, JSON.parse(text), text)
})

test('a document is read exactly when no object in it repeats a key, and as it was meant', () => {
  const word = fc.constantFrom(
    'a',
    'b',
    '__proto__',
    '"',
    '\\',
    ':',
    '{"a":1}',
    'é',
    '',
    '1',
    '\\u006',
    '\uE0000',
  )
  const hide = (text: string): string =>
    `"${text
      .split('')
      .map(each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join('')}"`
  const key = fc
    .tuple(word, fc.boolean())
    .map(([text, hidden]) => ({ text, json: hidden ? hide(text) : JSON.stringify(text) }))
  interface Node {
    readonly json: string
    readonly repeats: boolean
    readonly value: unknown
  }
  const { node } = fc.letrec<{ node: Node }>(tie => ({
    node: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(word, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(null)).map(value => ({
        json: JSON.stringify(value),
        repeats: false,
        value: JSON.parse(JSON.stringify(value)) as unknown,
      })),
      fc.array(tie('node'), { maxLength: 4 }).map(list => ({
        json: `[${list.map(each => each.json).join(' ,')}]`,
        repeats: list.some(each => each.repeats),
        value: list.map(each => each.value),
      })),
      fc.array(fc.tuple(key, tie('node')), { maxLength: 4 }).map(members => ({
        json: `{${members.map(([name, each]) => `${name.json}\t: ${each.json}`).join(',')}}`,
        repeats:
          new Set(members.map(([name]) => name.text)).size < members.length ||
          members.some(([, each]) => each.repeats),
        value: Object.fromEntries(members.map(([name, each]) => [name.text, each.value])),
      })),
    ),
  }))
  fc.assert(
    fc.property(node, ({ json, repeats, value }) => {
      assert.deepEqual(read(json)?.value, repeats ? undefined : value, json)
    }),
    { numRuns: 1000 },
  )
})

test('P12: depth is bounded, and strange texts take no longer than their length', () => {
  assert.notEqual(read('['.repeat(32) + ']'.repeat(32), 32), undefined)
  assert.equal(read('['.repeat(33) + ']'.repeat(33), 32), undefined)
  const deep = 200_000
  assert.equal(read('['.repeat(deep) + ']'.repeat(deep), 256), undefined)
  assert.equal(read(`{"\\n":${'['.repeat(deep)}${']'.repeat(deep)}}`, 256), undefined)
  const quotes = JSON.stringify({ ['"'.repeat(100_000)]: '\\'.repeat(100_000) })
  assert.deepEqual(read(quotes)?.value, JSON.parse(quotes))
})
