import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApprovalTerms } from '../model/decision.ts'
import { combineTerms } from './approval-terms.ts'
import { judge, policyOf } from './testing/fixtures.ts'

function terms(over: Partial<ApprovalTerms> = {}): ApprovalTerms {
  return {
    rule: 'a',
    approvers: ['group:sre'],
    quorum: 1,
    distinctGroups: false,
    expiresAfterMs: 3_600_000,
    usableForMs: 900_000,
    reasonRequired: false,
    whenHeld: 'resubmit',
    onChange: 'run',
    ...over,
  }
}

test('of several asks the strictest of each term holds', () => {
  const combined = combineTerms([
    terms({
      approvers: ['group:sre', 'group:leads', 'user:ana@example.com'],
      usableForMs: 60_000,
      message: 'first',
    }),
    terms({
      rule: 'b',
      approvers: ['group:leads', 'group:sre'],
      quorum: 2,
      distinctGroups: true,
      expiresAfterMs: 60_000,
      reasonRequired: true,
      whenHeld: 'retry-later',
      onChange: 'refuse',
      message: 'second',
    }),
  ])
  assert.deepEqual(combined, {
    rule: 'a',
    approvers: ['group:sre', 'group:leads'],
    quorum: 2,
    distinctGroups: true,
    expiresAfterMs: 60_000,
    usableForMs: 60_000,
    reasonRequired: true,
    whenHeld: 'resubmit',
    onChange: 'refuse',
    message: 'first',
  })
})

test('asks of two groups with nobody in common want a vote of each', () => {
  const combined = combineTerms([terms(), terms({ rule: 'b', approvers: ['group:security'] })])
  assert.deepEqual(combined?.approvers, ['group:sre', 'group:security'])
  assert.deepEqual([combined?.quorum, combined?.distinctGroups], [2, true])
})

const conflicts: readonly [string, Partial<ApprovalTerms>, Partial<ApprovalTerms>][] = [
  ['nobody in common and several named', { approvers: ['group:a', 'group:b'] }, { approvers: ['group:c'] }],
  ['different people', { approvers: ['user:a'] }, { approvers: ['user:b'] }],
  ['too few left for the quorum', { approvers: ['user:a', 'user:b'], quorum: 2 }, { approvers: ['user:a'] }],
  [
    'too few groups left',
    { approvers: ['group:a', 'group:b'], quorum: 2, distinctGroups: true },
    { approvers: ['group:a'] },
  ],
]
for (const [what, one, other] of conflicts) {
  test(`terms that no vote can meet together are no terms: ${what}`, () => {
    assert.equal(combineTerms([terms(one), terms({ ...other, rule: 'b' })]), undefined)
    assert.equal(combineTerms([terms(other), terms(one)]), undefined)
  })
}

test('P6: such a conflict denies', () => {
  const decision = judge(
    policyOf(
      { name: 'a', effect: 'require_approval', approval: { approvers: ['user:a'] } },
      { name: 'b', effect: 'require_approval', approval: { approvers: ['user:b'] } },
      { name: 'c', effect: 'allow' },
    ),
  )
  assert.deepEqual(
    [decision.effect, decision.reason, decision.approval],
    ['deny', 'approval-terms-conflict', undefined],
  )
})
