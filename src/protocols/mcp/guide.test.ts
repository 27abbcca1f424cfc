/** The guide's configuration is valid, and its rules decide as it says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, stringify } from 'yaml'
import { parsePolicy } from '../../policy/parse-policy.ts'
import { runPolicyTests } from '../../policy/policy-tests.ts'
import { mcpSettings } from './settings.ts'

const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/mcp.md'), 'utf8')
const blocks = [...guide.matchAll(/```yaml\n([^]*?)```/g)].map(
  match => parse(match[1]!) as Record<string, unknown>,
)

test('the servers of the guide are valid', () => {
  const shown = blocks.flatMap(({ servers }) => (servers === undefined ? [] : [servers]))
  assert.equal(shown.length, 3)
  for (const servers of shown) mcpSettings.parse({ servers })
})

const asked = (operation: string, more: object = {}) => ({
  name: operation,
  subject: { kind: 'agent' },
  connection: 'tools',
  action: { operation, risk: 'write', ...more },
})
const allowed = { effect: 'allow', rule: 'agents-search', mask: ['personal', 'secrets'] }
const unruled = { effect: 'deny', reason: 'no-rule-allows' }
const cases = [
  { ...asked('tools/call:search_logs'), expect: allowed },
  { ...asked('tools/list'), expect: allowed },
  { ...asked('prompts/get:summary'), expect: allowed },
  { ...asked('resources/read:file:///srv/a'), expect: allowed },
  { ...asked('resources/subscribe:file:///srv/a'), expect: allowed },
  { ...asked('completion/complete'), expect: allowed },
  { ...asked('tools/call:search'), expect: unruled },
  { ...asked('tools/call:update_user'), expect: unruled },
  { ...asked('elicitation/create'), expect: unruled },
  { ...asked('tools/call:search_logs'), name: 'a person', subject: { kind: 'user' }, expect: unruled },
  {
    ...asked('tools/call:delete_user', { risk: 'delete' }),
    expect: { effect: 'require_approval', rule: 'deleting-is-asked' },
  },
  // Of what no list names a rule speaks by name alone.
  ...['tools/call:search_none', 'resources/read:file:///etc/passwd'].map(operation => ({
    ...asked(operation, { known: false }),
    name: `${operation}, in no list`,
    expect: { effect: 'deny', reason: 'unknown-operation' },
  })),
]

test('the rules of the guide decide as it says', () => {
  const [{ policy } = {}] = blocks
  const { rules } = policy as { rules: object[] }
  const result = parsePolicy(stringify({ rules, tests: cases }), 'mcp.md', {
    maskProfiles: ['personal', 'secrets'],
  })
  assert.ok('policy' in result, JSON.stringify(result))
  for (const { name, differences } of runPolicyTests(result.policy)) assert.deepEqual(differences, [], name)
})
