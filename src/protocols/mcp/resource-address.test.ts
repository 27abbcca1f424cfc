import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isAmbiguous } from './resource-address.ts'

test('attack: an address that a server would resolve to another is told', () => {
  for (const uri of [
    'file:///srv/../etc/passwd',
    'file:///srv/..',
    'file:///srv/.. ',
    'file:///srv/./secret',
    'file:///srv/%2e%2E/etc/passwd',
    'file:///srv/.%2e?x',
    'file:///srv%2f..%2fetc',
    'file:///srv\\..\\etc',
    'file:///srv/.\t./etc',
    'file:///srv/a\n',
    'test:../a',
    'file:///%65tc/passwd',
    'file:///srv/%7Eroot',
    'FILE:///etc/passwd',
    'file:////etc/passwd',
    'file:///srv//a',
    'file:///srv\\\\a',
  ])
    assert.equal(isAmbiguous(uri), true, uri)
  for (const uri of [
    'file:///srv/a.b/c',
    'file:///srv/..a',
    'file:///srv/.git/x',
    'test://static-text',
    'urn:a:b...',
    'file:///srv/a%20b%2525',
    'https://example.com/a//b',
    'memo://Insights',
  ])
    assert.equal(isAmbiguous(uri), false, uri)
})

test('what is let by stays below its folder when it is resolved', () => {
  const piece = fc.constantFrom('.', '..', '%2e', '%2E', '/', '\\', '\t', ' ', 'a', '?', '#', '%2f')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const uri = `file:///srv/${pieces.join('')}`
      assert.ok(isAmbiguous(uri) || new URL(uri).pathname.startsWith('/srv/'), uri)
    }),
    { numRuns: 2000 },
  )
})
