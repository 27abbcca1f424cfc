import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { returnAddress } from './return-address.ts'

test('a browser comes back to the console, and nowhere else', () => {
  for (const kept of ['/console/', '/console/search?text=a%20b&x=1', '/console/approvals/ap_1#diff'])
    assert.equal(returnAddress(kept), kept)
  for (const other of [
    undefined,
    null,
    '',
    'https://evil.example.com/console/',
    '//evil.example.com/console/',
    '/\\evil.example.com/console/',
    '\\\\evil.example.com',
    'javascript:alert(1)',
    '/c/datadog/console/',
    '/console/../c/datadog/',
    '/console/%2e%2e/c/datadog',
    '/consolex',
    '/console/\r\nSet-Cookie: a=b',
    `/console/${'x'.repeat(2000)}`,
  ])
    assert.equal(returnAddress(other), '/console/', String(other))
})

test('no text makes it leave the console', () => {
  const pieces = fc.array(
    fc.constantFrom(
      '/',
      '\\',
      '.',
      '..',
      '//',
      '@',
      ':',
      'console',
      'evil.com',
      '%2e',
      '%2f',
      '\t',
      '?',
      '#',
      'http:',
    ),
    { maxLength: 10 },
  )
  fc.assert(
    fc.property(pieces, parts => {
      const url = new URL(returnAddress(parts.join('')), 'https://gateway.example.com/auth/x')
      return url.origin === 'https://gateway.example.com' && url.pathname.startsWith('/console/')
    }),
  )
})
