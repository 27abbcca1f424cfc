import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Audit } from '../audit/audit.ts'
import { refusedRequests } from './refused-requests.ts'

type Noted = Readonly<Record<string, unknown>>

function notebook(): { readonly audit: Audit; readonly entries: Noted[] } {
  const entries: Noted[] = []
  const note: Audit['note'] = (kind, attributes) => {
    assert.equal(kind, 'request.refused')
    entries.push(attributes)
    return Promise.reject(new Error('a log that takes nothing'))
  }
  return { audit: { note } as Audit, entries }
}

const place = { name: 'things', protocol: 'http', sensitivity: 'high' } as const
const garbage = { code: 'invalid-request', detail: 'more than one Host' } as const

test('the first are entries, and the rest a count when the window ends', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { audit, entries } = notebook()
  const refused = refusedRequests(audit, place)
  for (let i = 0; i < 1000; i++) refused.note({ ip: '192.0.2.1', port: i }, garbage)
  refused.note({ ip: '192.0.2.2', port: 1 }, { code: 'misdirected' })
  assert.equal(entries.length, 6)
  assert.deepEqual(entries[0], {
    client: { ip: '192.0.2.1', port: 0 },
    reason: 'invalid-request',
    error: garbage,
    connection: place,
  })
  t.mock.timers.tick(10_000)
  assert.deepEqual(entries.slice(6), [
    { client: { ip: '192.0.2.1' }, reason: 'suppressed', suppressed: 995, connection: place },
  ])
  refused.note({ ip: '192.0.2.1', port: 1 }, garbage)
  assert.equal(entries.length, 8, 'another window')
  refused.close()
})

test('P12: neither many addresses nor many requests make many entries, and none is lost from the counts', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { audit, entries } = notebook()
  const refused = refusedRequests(audit)
  const sent = 50_000
  for (let i = 0; i < sent; i++)
    refused.note({ ip: `2001:db8::${(i % 10_000).toString(16)}`, port: i }, garbage)
  t.mock.timers.tick(10_000)
  assert.ok(entries.length <= 100 + 65, `${entries.length} entries`)
  const counted = entries.reduce((sum, each) => sum + Number(each['suppressed'] ?? 1), 0)
  assert.equal(counted, sent)
  // Whoever is beyond the watched addresses is one count, of no address.
  assert.equal(entries.filter(each => !('client' in each)).length, 1)
  refused.close()
})

test('what was counted is told at the end', () => {
  const { audit, entries } = notebook()
  const refused = refusedRequests(audit)
  for (let i = 0; i < 7; i++) refused.note({ ip: '192.0.2.1', port: i }, garbage)
  refused.close()
  assert.equal(entries.at(-1)?.['suppressed'], 2)
})
