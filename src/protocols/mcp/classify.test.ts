import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Classifier } from './classify.ts'
import { mcpSettings, type ServerSettings } from './settings.ts'

function classifier(more: object = {}): Classifier {
  const { servers } = mcpSettings.parse({
    servers: [{ name: 'dd', url: 'https://mcp.example.com/mcp', ...more }],
  })
  return new Classifier(servers[0] as ServerSettings)
}

test('tools of Datadog: what reads, what is masked, and what a person should see first', () => {
  const pack = classifier({ packs: ['datadog'] })
  assert.deepEqual(pack.classify('search_datadog_hosts', undefined), { risk: 'read', tags: [], mask: [] })
  assert.deepEqual(pack.classify('search_datadog_logs', undefined).mask, ['secrets', 'personal'].toSorted())
  assert.deepEqual(pack.classify('delete_datadog_dashboard', undefined), {
    risk: 'delete',
    tags: ['approval'],
    mask: [],
  })
  assert.equal(pack.classify('execute_code', undefined).risk, 'admin')
  assert.equal(pack.classify('create_datadog_notebook', undefined).risk, 'write')
})

test("a server's own hints make a tool graver and never milder", () => {
  const hinted = (hints: object) => ({ annotations: hints })
  const plain = classifier()
  assert.equal(plain.classify('look', hinted({ readOnlyHint: true })).risk, 'write')
  assert.equal(plain.classify('look', hinted({ destructiveHint: true })).risk, 'delete')
  assert.equal(plain.classify('delete_all', hinted({ readOnlyHint: true })).risk, 'delete')
  const told = classifier({ risk: { read: ['look'] } })
  assert.equal(told.classify('look', undefined).risk, 'read')
  assert.equal(told.classify('look', hinted({ destructiveHint: true })).risk, 'delete')
  assert.equal(
    classifier({ annotations: 'trust' }).classify('look', hinted({ readOnlyHint: true })).risk,
    'read',
  )
})
