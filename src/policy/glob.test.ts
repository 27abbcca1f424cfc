import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileGlob, compileGlobs } from './glob.ts'

test('a star stands for any text and nothing else is special', () => {
  const cases: readonly [string, string, boolean][] = [
    ['*', '', true],
    ['a*', 'a', true],
    ['*a', 'ba', true],
    ['a*a', 'a', false],
    ['a*b*c', 'a-b-b-c', true],
    ['ab*bc', 'abc', false],
    ['a**b', 'ab', true],
    ['a.c', 'abc', false],
    ['[a]?', 'a', false],
    ['tools/call:delete_*', 'tools/call:delete_user', true],
    ['v1.list*', 'v1.List', false],
  ]
  for (const [glob, text, matches] of cases)
    assert.equal(compileGlob(glob).matches(text), matches, `${glob} ${text}`)
  assert.equal(compileGlob('DROP *', { ignoreCase: true }).matches('drop table'), true)
  assert.equal(compileGlobs(['a', 'b*'])('bc'), true)
  assert.equal(compileGlobs([])(''), false)
})

test('agrees with the obvious definition on all short texts', () => {
  const short = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 7 })
  const plain = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 9 })
  const obvious = (glob: string, text: string): boolean => {
    if (glob === '') return text === ''
    if (glob[0] === '*') return obvious(glob.slice(1), text) || (text !== '' && obvious(glob, text.slice(1)))
    return text[0] === glob[0] && obvious(glob.slice(1), text.slice(1))
  }
  fc.assert(
    fc.property(short, plain, (glob, text) => {
      assert.equal(compileGlob(glob).matches(text), obvious(glob, text))
    }),
    { numRuns: 1000 },
  )
})

test('P12: many stars against a long text', { timeout: 5000 }, () => {
  assert.equal(compileGlob(`${'*a'.repeat(200)}b`).matches('a'.repeat(200_000)), false)
})
