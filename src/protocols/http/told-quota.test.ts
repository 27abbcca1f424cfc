import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasOwnCredentials, toldQuota } from './told-quota.ts'

const headers = (of: Record<string, string>): string[] =>
  Object.entries(of).flatMap(([name, value]) => [`X-RateLimit-${name}`, value])

test('as Datadog tells it, and as a date', () => {
  const datadog = { Limit: '100', Period: '60', Remaining: '99', Reset: '42', Name: 'logs_public_search_api' }
  assert.deepEqual(toldQuota(headers(datadog), 0), {
    limit: 100,
    remaining: 99,
    resetMs: 42_000,
    windowMs: 60_000,
    name: 'logs_public_search_api',
  })
  const now = 1_790_000_000_000
  const date = { Limit: '60', Remaining: '0', Reset: '1790000030' }
  assert.deepEqual(toldQuota(headers(date), now), { limit: 60, remaining: 0, resetMs: 30_000 })
})

test('P12: what makes no sense says nothing', () => {
  const good = { Limit: '10', Remaining: '5', Reset: '5' }
  assert.ok(toldQuota(headers(good), 0))
  const bad = [
    { ...good, Limit: '0' },
    { ...good, Limit: '99999999999' },
    { ...good, Limit: '1e3' },
    { ...good, Remaining: '-1' },
    { ...good, Remaining: '11' },
    { ...good, Remaining: 'NaN' },
    { ...good, Reset: '100000' },
    { ...good, Reset: '' },
    { Limit: '10', Remaining: '5' },
  ]
  for (const each of bad) assert.equal(toldQuota(headers(each), 0), undefined, JSON.stringify(each))
  assert.equal(toldQuota([...headers(good), 'x-ratelimit-limit', '20'], 0), undefined)
  assert.equal(toldQuota(headers({ ...good, Name: 'a b\r\n' }), 0)?.name, undefined)
  assert.equal(toldQuota(headers({ ...good, Period: '0' }), 0)?.windowMs, undefined)
})

test('limits of a credential that each person has alone are nobody else’s', () => {
  const oauth = (grant: string) =>
    ({ token: { oauth: { grant } } }) as unknown as Parameters<typeof hasOwnCredentials>[0]['credential']
  assert.equal(hasOwnCredentials({ credential: { key: 'env:KEY' } }), false)
  assert.equal(hasOwnCredentials({ credential: oauth('client_credentials') }), false)
  assert.equal(hasOwnCredentials({ credential: oauth('authorization_code') }), true)
})
