import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv'
import fc from 'fast-check'
import { isFields } from './rpc.ts'
import { stillFits } from './schema-fit.ts'

const schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    age: { type: 'integer' },
    mail: { type: 'string', format: 'email' },
    state: { enum: ['open', 'shut'] },
    short: { type: 'string', maxLength: 3 },
    list: { type: 'array', items: { $ref: '#/$defs/row' } },
    either: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
    nullable: { anyOf: [{ type: 'string' }, { type: 'null' }] },
    exactlyOne: { oneOf: [{ type: 'string' }, { type: 'null' }] },
    twice: { oneOf: [{ type: 'string' }, { type: 'string', minLength: 4 }] },
    types: { type: ['string', 'null'] },
    all: { allOf: [{ type: 'string' }, { maxLength: 10 }] },
    referred: { $ref: '#/$defs/text', maxLength: 10 },
    whole: { anyOf: [{ $ref: '#/$defs/row' }, { type: 'null' }] },
    number: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
    nullableMail: { anyOf: [{ type: 'string', format: 'email' }, { type: 'null' }] },
    kinds: {
      oneOf: [
        {
          type: 'object',
          properties: {
            kind: { const: 'a' },
            at: { type: 'string', format: 'date' },
            note: { type: 'string' },
          },
          required: ['kind'],
        },
        {
          type: 'object',
          properties: { kind: { const: 'b' }, note: { type: 'integer' } },
          required: ['kind'],
        },
      ],
    },
    pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }] },
    unlike: { type: 'array', items: { type: 'string' }, uniqueItems: true },
    never: { not: { type: 'string', maxLength: 3 } },
  },
  $defs: {
    text: { type: 'string' },
    row: {
      type: 'object',
      properties: { note: { anyOf: [{ $ref: '#/$defs/text' }, { type: 'null' }] }, n: { type: 'number' } },
    },
  },
  additionalProperties: { type: ['string', 'null'] },
}

const cases: readonly [string, Record<string, unknown>, Record<string, unknown>, boolean][] = [
  ['nothing changed', { age: 4, mail: 'x' }, { age: 4, mail: 'x' }, true],
  ['a text', { name: 'ana', age: 4 }, { name: '[masked]', age: 4 }, true],
  ['a number became text', { age: 4 }, { age: '[masked]' }, false],
  ['a format', { mail: 'ana@example.com' }, { mail: '[email]' }, false],
  ['one of a few', { state: 'open' }, { state: '[masked]' }, false],
  ['longer than it may be', { short: 'abc' }, { short: '[masked]' }, false],
  ['in a list, by reference', { list: [{ note: 'a', n: 1 }] }, { list: [{ note: '[m]', n: 1 }] }, true],
  ['a number in a list, by reference', { list: [{ n: 1 }] }, { list: [{ n: '[m]' }] }, false],
  ['a text or a number', { either: 'a' }, { either: 'b' }, true],
  ['a number where a text may be', { either: 4 }, { either: '[m]' }, true],
  ['a text or nothing', { nullable: 'a' }, { nullable: '[m]' }, true],
  ['exactly one of a text and nothing', { exactlyOne: 'a' }, { exactlyOne: '[m]' }, true],
  ['exactly one, of which two would fit', { twice: 'a' }, { twice: '[masked]' }, false],
  ['one of two types', { types: 'a' }, { types: '[m]' }, true],
  ['all of them', { all: 'a' }, { all: '[masked]' }, true],
  ['longer than one of all lets it be', { all: 'a' }, { all: '[masked secret]' }, false],
  ['what stands beside a reference', { referred: 'a' }, { referred: '[masked]' }, true],
  ['longer than what stands beside a reference', { referred: 'a' }, { referred: '[masked secret]' }, false],
  ['an object or nothing', { whole: { note: 'a', n: 1 } }, { whole: { note: '[m]', n: 1 } }, true],
  ['a number in an object or nothing', { whole: { n: 1 } }, { whole: { n: '[m]' } }, false],
  ['a number or nothing', { number: 4 }, { number: '[m]' }, false],
  ['an address or nothing', { nullableMail: 'ana@example.com' }, { nullableMail: '[m]' }, false],
  [
    'the one kind that it was, with a format that was left alone',
    { kinds: { kind: 'a', at: '2026-01-01', note: 'x' } },
    { kinds: { kind: 'a', at: '2026-01-01', note: '[m]' } },
    true,
  ],
  ['of another kind', { kinds: { kind: 'b', note: 4 } }, { kinds: { kind: 'b', note: '[m]' } }, false],
  ['what tells the kinds apart', { kinds: { kind: 'a' } }, { kinds: { kind: '[m]' } }, false],
  ['the first of a pair', { pair: ['a', 1] }, { pair: ['[m]', 1] }, true],
  ['the second of a pair', { pair: ['a', 1] }, { pair: ['a', '[m]'] }, false],
  ['all of them unlike', { unlike: ['a', 'b'] }, { unlike: ['[m]', 'b'] }, true],
  ['two that became the same', { unlike: ['a', 'b'] }, { unlike: ['[m]', '[m]'] }, false],
  ['what it must not be', { never: 'abcd' }, { never: '[m]' }, false],
  ['what it may be', { never: 'abcd' }, { never: '[masked]' }, true],
  ['a member that is not named', { other: 'a' }, { other: '[m]' }, true],
  ['a name that was masked', { 'ana@example.com': 'a' }, { '[email]': 'a' }, false],
]

for (const [what, before, after, fits] of cases) {
  test(`${what}: ${fits ? 'still fits' : 'does not fit any more'}`, () => {
    assert.equal(stillFits(schema, before, after), fits)
  })
}

test('without a schema anything fits; a reference to elsewhere or to itself fits nothing', () => {
  assert.equal(stillFits(undefined, { a: 1 }, { a: 'x' }), true)
  for (const $ref of ['https://example.com/schema', '#/$defs/loop', '#/none', '#/%zz']) {
    const at = { properties: { a: { $ref } }, $defs: { loop: { $ref: '#/$defs/loop' } } }
    assert.equal(stillFits(at, { a: 'b' }, { a: 'x' }), false, $ref)
  }
})

test('attack: a schema that refers to itself many times over is given up', () => {
  const many = Array.from({ length: 8 }, () => ({ $ref: '#' }))
  const nested = (text: string): object => {
    let value: object = { text }
    for (let i = 0; i < 100; i++) value = { a: value }
    return value
  }
  for (const loop of [
    { allOf: many },
    { anyOf: many },
    { oneOf: many },
    { not: { allOf: many } },
    { properties: { a: { anyOf: many } }, additionalProperties: { type: 'string' } },
  ])
    assert.equal(stillFits(loop, nested('a'), nested('[m]')), false, JSON.stringify(loop).slice(0, 40))
})

const { tree: schemas } = fc.letrec<{ tree: object; list: object[] }>(tie => ({
  list: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(
      { type: 'string' },
      { type: 'null' },
      { type: 'integer' },
      { type: ['string', 'null'] },
      { type: 'string', maxLength: 6 },
      { type: 'string', minLength: 4 },
      { type: 'string', pattern: '^[a-z]*$' },
      { format: 'email', type: 'string' },
      { enum: ['a', '[m]', 4] },
      { const: 'a' },
      { not: { const: '[m]' } },
      {},
    ),
    tie('list').map(anyOf => ({ anyOf })),
    tie('list').map(oneOf => ({ oneOf })),
    tie('list').map(allOf => ({ allOf })),
    tie('tree').map(not => ({ not })),
    tie('tree').map(items => ({ type: 'array', items })),
    tie('tree').map(items => ({ type: 'array', items, uniqueItems: true })),
    fc.tuple(tie('tree'), tie('tree'), fc.boolean()).map(([a, b, closed]) => ({
      type: 'object',
      properties: { a, b },
      ...(closed ? { required: ['a'], additionalProperties: false } : { additionalProperties: b }),
    })),
    fc.constantFrom({ $ref: '#/$defs/one' }, { $ref: '#/$defs/two', maxLength: 5 }),
  ),
}))

const text = fc.constantFrom('a', 'ab', 'secret', 'x@example.com', '')
const { value: values } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.constantFrom(null, 4, 1.5, true),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3 }),
  ),
}))

/** Puts a mask in the place of texts, and of numbers too where it is told to. */
function masked(value: unknown, word: string, numbers: boolean): unknown {
  if (typeof value === 'string') return value.length > 1 ? word : value
  if (typeof value === 'number') return numbers ? word : value
  if (Array.isArray(value)) return value.map(each => masked(each, word, numbers))
  if (!isFields(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, masked(each, word, numbers)]))
}

test('what is said to fit still does still fit, as the validator of a client has it', () => {
  let fitted = 0
  let kept = 0
  fc.assert(
    fc.property(
      fc.record({ of: schemas, one: schemas, value: values, word: text, numbers: fc.boolean() }),
      ({ of, one, value, word, numbers }) => {
        const whole = { properties: { v: of }, $defs: { one, two: { type: 'string' } } }
        const validates = (each: unknown): boolean => {
          try {
            return new AjvJsonSchemaValidator().getValidator(whole as never)({ v: each }).valid
          } catch {
            return false // A reference that leads to itself.
          }
        }
        const after = masked(value, word, numbers)
        if (!validates(value)) return
        fitted++
        if (!stillFits(whole, { v: value }, { v: after })) return
        kept++
        assert.ok(validates(after), JSON.stringify({ whole, value, after }))
      },
    ),
    { numRuns: 300 },
  )
  assert.ok(fitted > 30 && kept > fitted / 4, `${kept} of ${fitted}`)
})
