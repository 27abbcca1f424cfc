import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hexadecimal } from './characters.ts'
import { runs } from './credentials-in-text.ts'

function expected(text: string, shortest: number): [number, number][] {
  const all = [...text.matchAll(/[0-9a-fA-F]+/g)].map(each => [each.index, each.index + each[0].length])
  return all.filter(([start, end]) => end! - start! >= shortest) as [number, number][]
}

test('the long runs of a text are found whole, and no others', () => {
  const piece = fc.oneof(
    fc.nat({ max: 12 }).map(length => 'a0'.repeat(length).slice(0, length)),
    fc.constantFrom('-', 'g', ' ', '--', 'zz\n', ''),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 9 }), (pieces, shortest) => {
      const text = pieces.join('')
      assert.deepEqual(runs(text, hexadecimal, shortest), expected(text, shortest))
    }),
  )
})
