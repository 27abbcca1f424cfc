import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sinksSection } from '../config/sinks.ts'
import { filterOf, shippedKinds } from './filter.ts'
import { recordOf, samples } from './testing/samples.ts'

function kept(filter: object): string[] {
  const [config] = sinksSection.parse([{ name: 'out', type: 'stdout', filter }])
  const wanted = filterOf(config!) ?? (() => true)
  return Object.entries(samples)
    .filter(([kind, members]) => wanted(recordOf({ ...members, kind }).entry))
    .map(([kind]) => kind)
}

test('without a filter everything is shipped, and nothing is parsed for it', () => {
  const [config] = sinksSection.parse([{ name: 'out', type: 'stdout' }])
  assert.equal(filterOf(config!), undefined)
})

test('a filter is the conjunction of its conditions', () => {
  assert.deepEqual(kept({ kinds: ['break_glass.*', 'pruned'] }), [
    'break_glass.used',
    'break_glass.ended',
    'pruned',
  ])
  assert.ok(!kept({ except: ['heartbeat'] }).includes('heartbeat'))
  assert.deepEqual(kept({ outcomes: ['denied'] }), ['action.denied', 'identity.suspended', 'approval.denied'])
  assert.ok(kept({ connections: ['datadog-*'] }).includes('action.completed'))
  assert.ok(!kept({ connections: ['datadog-*'] }).includes('heartbeat'), 'of no connection')
  assert.deepEqual(kept({ connections: ['orders'] }), [])
  assert.deepEqual(kept({ kinds: ['action.*'], outcomes: ['denied'] }), ['action.denied'])
})

test('what a filter never lets through is known before anything is shipped', () => {
  const shipped = (filter: Record<string, unknown>) => {
    const [config] = sinksSection.parse([{ name: 'f', type: 'file', path: 'x', filter }])
    return ['action.completed', 'session.started', 'heartbeat', 'approval.granted'].filter(
      shippedKinds(config!),
    )
  }
  assert.equal(shipped({}).length, 4)
  assert.deepEqual(shipped({ kinds: ['approval.*'] }), ['approval.granted'])
  assert.deepEqual(shipped({ except: ['heartbeat'] }), [
    'action.completed',
    'session.started',
    'approval.granted',
  ])
  assert.deepEqual(shipped({ connections: ['prod-*'] }), ['action.completed', 'session.started'])
})
