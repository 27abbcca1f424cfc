import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Masker } from '../../masking/masker.ts'
import { ContentMask } from './content-mask.ts'
import { RunningMask } from './running-mask.ts'

const secret = 'sk-4f81c2d0'

/** Masks that one secret, and what follows a label for it. */
function running(): RunningMask {
  const text = (given: string): string =>
    given.replaceAll(secret, '[secret]').replaceAll(/(key:\s*)(?!\[)\w+/g, '$1[secret]')
  const json = (value: unknown): unknown => (typeof value === 'string' ? text(value) : value)
  const masker: Partial<Masker> = { idle: false, text, json }
  return new RunningMask(new ContentMask(masker as Masker))
}

async function told(parts: readonly unknown[], name = 'data'): Promise<unknown[]> {
  const mask = running()
  const shown: unknown[] = []
  for (const part of parts) shown.push((await mask.params({ params: { [name]: part } }))[name])
  return shown
}

test('P8: wherever a secret is cut, its parts together do not show it, and nothing around it is lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: secret.length - 1 }), { maxLength: 4 }),
      fc.constantFrom('', 'before ', 'x'.repeat(600)),
      fc.constantFrom('', ' after'),
      async (cuts, before, after) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), secret.length]
        const parts = places.slice(1).map((end, i) => secret.slice(places[i], end))
        const all = [before, ...parts, after].filter(each => each !== '')
        const shown = (await told(all)).join('')
        assert.ok(!shown.includes(secret), shown)
        assert.ok(shown.startsWith(before) && shown.endsWith(after) && shown.includes('[secret]'), shown)
      },
    ),
  )
})

test('what one part says of the next is heeded; each keeps its own beginning', async () => {
  assert.deepEqual(await told(['the key:', 'hunter2 and more']), ['the key:', '[secret] and more'])
  assert.deepEqual(await told(['one', 'two', 'three']), ['one', 'two', 'three'])
  assert.deepEqual(await told([{ a: 1 }, 4, 'x']), [{ a: 1 }, 4, 'x'])
})

test('log messages and progress are each one text', async () => {
  const mask = running()
  await mask.params({ params: { data: secret.slice(0, 5) } })
  assert.equal((await mask.params({ params: { message: secret.slice(5) } }))['message'], secret.slice(5))
})
