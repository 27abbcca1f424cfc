import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSchema } from '../config/schema.ts'
import { type ComplianceFacts, type ComplianceRow, complianceRows } from './compliance.ts'

function rows(config: object, facts: Partial<ComplianceFacts> = {}): ComplianceRow[] {
  return complianceRows({
    config: configSchema.parse(config),
    logHealthy: true,
    unsigned: 3,
    disk: 'ok',
    lagging: [],
    connections: 1,
    askingRules: 0,
    ...facts,
  })
}

function state(all: readonly ComplianceRow[], control: string): string {
  const found = all.filter(each => each.control === control)
  assert.equal(found.length, 1, control)
  return found[0]!.state
}

const listen = [{ address: '127.0.0.1:0' }]

test('a gateway of defaults is honest: no copy elsewhere, no consent, too short for HIPAA', () => {
  const all = rows({ listen })
  assert.equal(state(all, '10.3.3'), 'not-met')
  assert.equal(state(all, 'AU-10'), 'not-met')
  assert.equal(state(all, '164.316(b)(2)'), 'not-met')
  assert.equal(state(all, '10.5.1'), 'partly')
  assert.equal(state(all, 'Art. 19, 26(6)'), 'met')
  assert.equal(state(all, 'CC6.7'), 'partly')
  assert.equal(state(all, 'AU-8'), 'unknown')
  assert.equal(state(all, '10.4'), 'unknown')
  for (const each of all)
    assert.ok(each.because.length > 10 && each.shownBy.startsWith('sallyport '), each.control)
})

test('rows follow what is configured, and what is running', () => {
  const sinks = [{ name: 'siem', type: 'webhook', url: 'https://siem.example.com/', secret: '${env:SECRET}' }]
  const year = { entries: { keep: '2200d' }, minimum: { entries: '2192d' } }
  const config = { listen, sinks, retention: year, recording: { recipients: ['age1abc'] } }
  const all = rows(config, { askingRules: 2 })
  for (const control of ['10.3.3', 'AU-10', '164.316(b)(2)', '10.5.1', 'CC6.7'])
    assert.equal(state(all, control), 'met')
  assert.equal(state(rows(config, { lagging: ['siem'] }), '10.3.3'), 'partly')
  const broken = rows(config, { logHealthy: false, disk: 'refuse' })
  assert.equal(state(broken, 'AU-5(4)'), 'not-met')
  assert.equal(state(broken, 'AU-9(3)'), 'not-met')
  assert.equal(state(broken, 'AU-4'), 'partly')
})
