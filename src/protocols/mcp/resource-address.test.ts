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
    'FILE:///srv/../etc/passwd',
    'file:////etc/passwd',
    'FILE:////etc/passwd',
    'file:/etc/passwd',
    'file:etc/passwd',
    'file://localhost/etc/passwd',
    'https://user@example.com/a',
    'https://@example.com/a',
    'https://example.com:443/a',
    'http://example.com:080/a',
    'https://example.com./a',
    'https://ｅxample.com/a',
    'https://BÜCHER.example/a',
    'http://0x7f.1/a',
    'http://[0:0:0:0:0:0:0:1]/a',
    'https:/example.com/a',
    'https:example.com/a',
    'https:\\\\example.com\\a',
    'https://example.com\\@evil.example/a',
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
    'HTTPS://Example.COM/a',
    'https://example.com:8443/a',
    'https://example.com?q',
    'http://[::1]:8080/a',
    'https://xn--bcher-kva.example/a',
    'FILE:///etc/passwd',
    'file://Server/share',
    'memo://Insights',
    'memo://user@Insights:1/a',
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
