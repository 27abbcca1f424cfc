import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareState, compareStates, describeState } from './compare.ts'

const changesOf = (state: unknown, body: unknown, masked: unknown = body) =>
  compareState(state, { raw: body, masked }).changes

test('only what the body names is compared, down to the field', () => {
  const state = { id: 1, name: 'a', options: { critical: 5, warning: 4 }, tags: ['x', 'y'] }
  assert.deepEqual(changesOf(state, { name: 'a', options: { critical: 5 } }), [])
  assert.deepEqual(changesOf(state, { options: { critical: 6, extra: null }, tags: ['x'] }), [
    { path: 'options.critical', before: 5, after: 6 },
    { path: 'options.extra', after: null },
    { path: 'tags[1]', before: 'y' },
  ])
  assert.deepEqual(changesOf(state, { options: 3 }), [{ path: 'options', before: state.options, after: 3 }])
  assert.deepEqual(changesOf(state, { 'odd.name': 1 }), [{ path: '["odd.name"]', after: 1 }])
})

test('answers that wrap in data are compared with requests that do and with those that do not', () => {
  const attributes = { name: 'a' }
  const wrapped = { data: { id: '1', type: 't', attributes } }
  assert.deepEqual(changesOf(wrapped, { data: { attributes: { name: 'b' } } }), [
    { path: 'data.attributes.name', before: 'a', after: 'b' },
  ])
  assert.deepEqual(changesOf({ data: attributes }, { name: 'b' }), [
    { path: 'name', before: 'a', after: 'b' },
  ])
  assert.deepEqual(describeState(wrapped, 'before').changes, [{ path: 'data.attributes.name', before: 'a' }])
})

test('P8: a field in which the mask hid something of the request is listed even where both look alike', () => {
  const state = { to: '[masked]', name: 'n' }
  assert.deepEqual(changesOf(state, { to: 'bo@example.com', name: 'n' }, { to: '[masked]', name: 'n' }), [
    { path: 'to', before: '[masked]', after: '[masked]' },
  ])
})

test('many changes and large ones are cut, and it is said', () => {
  const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, i]))
  for (const found of [compareState({}, { raw: wide, masked: wide }), describeState(wide, 'after')]) {
    assert.equal(found.changes.length, 64)
    assert.equal(found.cut, true)
  }
  const large = describeState({ query: 'x'.repeat(100_000), name: 'n' }, 'before')
  assert.deepEqual([large.changes, large.cut], [[{ path: 'name', before: 'n' }], true])
})

test('any two JSON values compare without a fault, and equal ones without a change', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.jsonValue({ maxDepth: 6 }), (state, body) => {
      assert.deepEqual(changesOf(body, structuredClone(body)), [])
      assert.ok(changesOf(state, body).length <= 64)
      describeState(state, 'before')
    }),
  )
  let deep: unknown = 1
  for (let i = 0; i < 250; i++) deep = [deep]
  assert.equal(changesOf(deep, structuredClone([2])).length, 1)
})

test('two states are compared whole: what only one of them has is listed, what changes by itself is not', () => {
  const before = { id: 1, tags: ['a', 'b'], options: { x: 1 }, modified: 1 }
  const after = { id: 1, tags: ['a'], options: { x: 1, y: 2 }, modified: 2 }
  assert.deepEqual(compareStates(before, after, new Set(['modified'])).changes, [
    { path: 'tags[1]', before: 'b' },
    { path: 'options.y', after: 2 },
  ])
  assert.deepEqual(compareStates(before, structuredClone(before)).changes, [])
})
