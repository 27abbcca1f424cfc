/** Which requests of browsers come from a page of the gateway's own. */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { isSameOrigin } from './same-origin.ts'

const ask = (method: string, headers: Readonly<Record<string, string>>): boolean =>
  isSameOrigin({ method, headers: { host: 'gw.example.com', ...headers } } as unknown as IncomingMessage)

test('what changes something comes from this origin, and the browser says so', () => {
  const own = { origin: 'https://gw.example.com' }
  assert.ok(ask('POST', { ...own, 'sec-fetch-site': 'same-origin' }))
  assert.ok(ask('POST', own), 'a browser without Sec-Fetch-Site')
  assert.equal(ask('POST', {}), false)
  for (const site of ['cross-site', 'same-site', 'none'])
    assert.equal(ask('POST', { ...own, 'sec-fetch-site': site }), false, site)
  for (const origin of [
    'https://evil.example',
    'https://datadog.gw.example.com',
    'https://gw.example.com:444',
  ])
    assert.equal(ask('POST', { origin, 'sec-fetch-site': 'same-origin' }), false, origin)
})

test('a form on a page that sends no referrer is its own; a page of no origin is not', () => {
  assert.ok(ask('POST', { origin: 'null', 'sec-fetch-site': 'same-origin' }))
  assert.equal(ask('POST', { origin: 'null', 'sec-fetch-site': 'cross-site' }), false)
  assert.equal(ask('POST', { origin: 'null' }), false)
})

test('an address that was typed is read, and changes nothing', () => {
  assert.ok(ask('GET', { 'sec-fetch-site': 'none' }))
  assert.ok(ask('GET', {}))
  assert.equal(ask('GET', { 'sec-fetch-site': 'cross-site' }), false)
})
