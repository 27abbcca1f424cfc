import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wwwAuthenticate } from './www-authenticate.ts'

test('without a credential there is no error; with a bad one no reason', () => {
  assert.equal(wwwAuthenticate('sallyport'), 'Bearer realm="sallyport"')
  assert.equal(
    wwwAuthenticate('sallyport', 'invalid_token'),
    'Bearer realm="sallyport", error="invalid_token"',
  )
})

test('a step-up names what is needed and where to ask (RFC 9728)', () => {
  const more = {
    scope: 'a b',
    resource_metadata: 'https://gw.example.com/.well-known/oauth-protected-resource',
  }
  assert.equal(
    wwwAuthenticate('gw', 'insufficient_scope', more),
    'Bearer realm="gw", error="insufficient_scope", scope="a b", resource_metadata="https://gw.example.com/.well-known/oauth-protected-resource"',
  )
})

test('nothing can end the quotes or the header', () => {
  assert.equal(wwwAuthenticate('a"b\\c\r\nX: 1é'), 'Bearer realm="a\\"b\\\\cX: 1"')
})
