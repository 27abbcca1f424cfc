import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isVisibleName, visible, visibleText } from './visible-text.ts'

const tags = Array.from('send it', each => String.fromCodePoint(0xe0000 + each.charCodeAt(0))).join('')

test('attack: what no reader sees is not shown: tags, zero-width runs, overrides, terminal sequences', () => {
  for (const [text, shown] of [
    [`Adds.${tags}`, 'Adds.'],
    ['Adds\u200B\u2060\uFEFF two', 'Adds two'],
    ['\u202Eevil\u202C', 'evil'],
    ['\u001B[2K\u001B[1;31mred\u001B[0m', 'red'],
    ['\u001B]8;;https://evil.example.com\u0007link\u001B]8;;\u0007', 'link'],
    ['a\u0000b\u0008\u009Bc', 'abc'],
    ['two\nlines\tand a tab', 'two\nlines\tand a tab'],
    ['family 👩‍👩‍👧 and می‌خواهم', 'family 👩‍👩‍👧 and می‌خواهم'],
  ] as const)
    assert.equal(visibleText(text), shown)
})

test('words are made visible at any depth, and names and values stay', () => {
  const definition = {
    name: 'adds',
    description: `Adds.${tags}`,
    inputSchema: { properties: { a: { description: '\u202Ex', enum: ['\u200B'] } } },
  }
  assert.deepEqual(visible(definition), {
    name: 'adds',
    description: 'Adds.',
    inputSchema: { properties: { a: { description: 'x', enum: ['\u200B'] } } },
  })
  const plain = { name: 'adds', description: 'Adds.' }
  assert.equal(visible(plain), plain)
})

test('visible text is never longer, and is itself when looked at again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const once = visibleText(text)
      assert.ok(once.length <= text.length)
    }),
  )
})

test('a name with anything invisible in it is none', () => {
  assert.ok(isVisibleName('bericht-über größe'))
  for (const name of ['a\u200Bb', 'a\u001Bb', '\u202Ea', '', 'a\nb', `a${tags}`])
    assert.ok(!isVisibleName(name))
})
