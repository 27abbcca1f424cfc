import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain, renderExplanation } from './explain.ts'
import { action, connection, noon, policyOf, subject } from './testing/fixtures.ts'

const policy = policyOf(
  { name: 'reads', effect: 'allow', risks: ['read'], mask: ['personal'] },
  { name: 'people', effect: 'allow', subjects: { kinds: ['user'] } },
  { name: 'elsewhere', effect: 'deny', connections: { labels: { env: 'dev' } } },
  { name: 'deletes', effect: 'deny', operations: ['v1.delete*'] },
  { name: 'body', effect: 'allow', when: "request.body.type == 'x'" },
  { name: 'post', effect: 'deny', when: "request.method == 'POST'" },
  { name: 'watch', effect: 'deny', shadow: true, message: 'later' },
  { name: 'admin', effect: 'allow', risks: ['admin'] },
)
const inquiry = { subject: subject(), connection: connection(), action: action(), now: noon }

test('P11: says which rule decided, and of each other why it did not match', () => {
  const { decision, rules } = explain(policy, inquiry)
  assert.equal(decision.rule, 'reads')
  assert.deepEqual(
    rules.map(({ rule, outcome, because }) => [rule, outcome, because]),
    [
      ['reads', 'decided', undefined],
      ['people', 'no-match', 'subjects.kinds does not match the subject'],
      ['elsewhere', 'no-match', 'connections.labels.env does not match datadog-prod'],
      ['deletes', 'no-match', 'operations does not match v1.listMonitors'],
      ['body', 'failed', 'there is no `request.body`'],
      ['post', 'no-match', 'the condition is false'],
      ['watch', 'shadow', undefined],
      ['admin', 'no-match', 'risks does not hold read'],
    ],
  )
})

test('the text names the decision, the demands and the failing condition', () => {
  assert.equal(
    renderExplanation(explain(policy, inquiry)),
    `permit (rule-allowed, rule reads)
  masks the answer with: personal

rules (=> decided, + counted, ~ shadow, ! condition failed, - did not match):
=> reads      allow
 - people     allow: subjects.kinds does not match the subject
 - elsewhere  deny: connections.labels.env does not match datadog-prod
 - deletes    deny: operations does not match v1.listMonitors
 ! body       allow: there is no \`request.body\`
     when request.body.type == 'x'
     failed: there is no \`request.body\` (at character 1)
 - post       deny: the condition is false
     when request.method == 'POST'
 ~ watch      deny
 - admin      allow: risks does not hold read
`,
  )
})

test('a deny whose condition fails is shown to count against the action', () => {
  const failing = policyOf({ name: 'no', effect: 'deny', when: 'request.body.x == 1' })
  const [account] = explain(failing, inquiry).rules
  assert.equal(account?.outcome, 'decided')
  assert.match(account?.because ?? '', /counts against/)
})

test('an allow that only covers an unknown operation is said to need its name', () => {
  const unknown = { ...inquiry, action: action({ operation: 'GET /beta', known: false }) }
  assert.match(explain(policy, unknown).rules[0]!.because!, /an allow has to name/)
})
