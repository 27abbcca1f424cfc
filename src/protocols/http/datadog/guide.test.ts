import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parsePolicy } from '../../../policy/parse-policy.ts'
import { operations } from './catalogue.ts'

const guide = readFileSync(new URL('../../../../docs/guides/datadog.md', import.meta.url), 'utf8')

test('the policy of the guide is valid', () => {
  const [, rules] = /^```yaml\n(rules:[^]*?)^```$/m.exec(guide) ?? []
  assert.ok(rules !== undefined)
  assert.ok('policy' in parsePolicy(rules, 'datadog.md', { maskProfiles: ['personal'] }))
})

test('every operation that the guide names exists', () => {
  const names = new Set(operations.map(each => each.name))
  for (const [name] of guide.matchAll(/\bv[12]\.[a-z]\w+\b(?=[`',\]\s])/g)) assert.ok(names.has(name), name)
})
