import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parsePolicy } from './parse-policy.ts'
import { runPolicyTests } from './policy-tests.ts'
import { functions } from './cel/functions.ts'

const guide = readFileSync(fileURLToPath(new URL('../../docs/guides/policy.md', import.meta.url)), 'utf8')
const blocks = [...guide.matchAll(/^```yaml\n(rules:[^]*?)^```$/gm)].map(match => match[1]!)

test('the guide has policies to read', () => assert.ok(blocks.length >= 7))

blocks.forEach((text, i) => {
  test(`policy ${i + 1} of the guide is valid and passes its own tests`, () => {
    const result = parsePolicy(text, 'policy.md', { maskProfiles: ['personal'] })
    assert.ok('policy' in result, JSON.stringify(result))
    for (const each of runPolicyTests(result.policy)) assert.deepEqual(each.differences, [], each.name)
  })
})

test('the guide names every function there is', () => {
  for (const name of functions.keys()) assert.ok(name === 'dyn' || guide.includes(name), name)
})

test('a case that expects something else fails and says how', () => {
  const result = parsePolicy(blocks[0]!.replace('mask: [personal] }', 'mask: [] }'), 'policy.md')
  assert.ok('policy' in result)
  const [first] = runPolicyTests(result.policy)
  assert.deepEqual(first?.differences, [{ what: 'mask', expected: 'none', got: 'personal' }])
  const [missing] = runPolicyTests(result.policy, { connections: [] })
  assert.deepEqual(missing?.differences[0]?.got, 'no such connection')
})
