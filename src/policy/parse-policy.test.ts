import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parsePolicy, type ParseOptions } from './parse-policy.ts'

/** Problems as `line:column path: message` and the text they point at. */
function problemsOf(text: string, options: ParseOptions = {}): string[] {
  const result = parsePolicy(text, 'policy.yaml', options)
  if ('policy' in result) return []
  const lines = text.split('\n')
  return result.problems.map(
    ({ line, column, path, message }) => `${path}: ${message} | ${lines[line - 1]!.slice(column - 1)}`,
  )
}

function rule(rest: string): string {
  return `rules:\n  - name: a\n    effect: allow\n${rest}\n`
}

const mistakes: readonly [string, string, RegExp][] = [
  [
    'a misspelt key',
    rule('    opertions: [x]'),
    /rules\[0\]\.opertions: .*did you mean `operations`.* \| opertions:/,
  ],
  [
    'a key of elsewhere',
    rule('    subjects: {risk: [x]}'),
    /subjects\.risk: no such key; there are: groups, .* \| risk:/,
  ],
  ['a wrong word', rule('    risks: [read, wirte]'), /risks\[1\]: must be one of read, write.* \| wirte\]/],
  ['a wrong type', rule('    operations: v1.*'), /rules\[0\]\.operations: .*array.* \| v1\.\*/],
  ['a missing effect', 'rules:\n  - name: a\n', /rules\[0\]\.effect: must be one of/],
  [
    'a name twice',
    `${rule('')}  - {name: a, effect: deny}`,
    /rules\[1\]\.name: a rule is called a already \| a, effect/,
  ],
  ['a bad duration', rule('    rate_limit: {limit: 1, window: soon}'), /window: not a duration.* \| soon}/],
  [
    'an approval without approvers',
    'rules: [{name: a, effect: require_approval}]',
    /effect: name who may approve/,
  ],
  [
    'approval on an allow',
    rule('    approval: {approvers: [group:x]}'),
    /only a rule with effect require_approval/,
  ],
  ['an approver of no kind', rule('    approval: {approvers: [sre]}'), /write group:name.* \| sre\]/],
  [
    'too few voters',
    'rules: [{name: a, effect: require_approval, approval: {approvers: ["user:a"], quorum: 2}}]',
    /quorum: only 1 may vote/,
  ],
  [
    'too few groups',
    'rules: [{name: a, effect: require_approval, approval: {approvers: ["group:a"], quorum: 2, distinct_groups: true}}]',
    /as many groups/,
  ],
  [
    'an unnamed unknown',
    rule('    unknown: true\n    operations: ["*", "GET /*"]'),
    /unknown: an allow reaches unknown operations only by name/,
  ],
  [
    'unknown on a deny',
    'rules: [{name: a, effect: deny, unknown: true}]',
    /reaches unknown operations anyway/,
  ],
  ['a limit on a deny', 'rules: [{name: a, effect: deny, rate_limit: {limit: 1, window: 1s}}]', /no limit/],
  ['an empty exclusion', rule('    operations: ["!"]'), /after the `!`/],
  [
    'a test of no rule',
    `${rule('')}tests: [{name: t, connection: c, action: {operation: o}, expect: {effect: deny, rule: z}}]`,
    /expect\.rule: there is no rule z \| z}}/,
  ],
  ['broken YAML', 'rules: [', /./],
  ['a key twice', 'rules: []\nrules: []', /unique/],
  ['no rules', '{}', /rules: /],
  ['nothing at all', '', /rules: /],
  ['a list', '- a', /./],
]
for (const [what, text, expected] of mistakes) {
  test(`reports ${what}, with its place`, () => {
    const problems = problemsOf(text)
    assert.ok(
      problems.some(problem => expected.test(problem)),
      problems.join('\n'),
    )
  })
}

const conditions: readonly [string, string][] = [
  ['plain', "when: request.method == 'GET' && subject.emial == 'x'"],
  ['double-quoted', 'when: "request.method == \\"GET\\" && \\u0073ubject.emial == \'x\'"'],
  ['single-quoted', "when: 'request.method == ''GET'' && subject.emial == ''x'''"],
  ['literal block', "when: |\n      request.method == 'GET' &&\n\n        subject.emial == 'x'"],
  ['folded block', "when: >-\n      request.method == 'GET' &&\n      subject.emial == 'x'"],
  ['folded plain', "when: request.method == 'GET' &&\n      subject.emial == 'x'"],
  ['folded double-quoted', "when: \"request.method == 'GET' &&   \n      subject.emial == 'x'\""],
]
for (const [what, text] of conditions) {
  test(`points into a condition: ${what}`, () => {
    const [problem] = problemsOf(rule(`    ${text}`))
    assert.match(problem!, /^rules\[0\]\.when: there is no field `emial`; did you mean `email`\? \| emial ==/)
  })
}

test('reports every mistake, not only the first', () => {
  const text = `rules:
  - {name: a, effect: deny, when: "1 +"}
  - {name: b, effect: deny, mask: [personal, persnal]}`
  assert.equal(problemsOf(text, { maskProfiles: ['personal'] }).length, 2)
})

test('reads a policy that is part of a larger file', () => {
  const options = { at: ['policy'] }
  assert.deepEqual(problemsOf('other: 1\npolicy:\n  rules: [{name: a, effect: allow}]', options), [])
  assert.match(
    problemsOf('other: 1\npolicy:\n  rules: [{name: a, effect: alow}]', options)[0]!,
    /^policy\.rules\[0\]\.effect.* \| alow/,
  )
})

test('the version changes with what decides, not with how it is written', () => {
  const version = (text: string): string => {
    const result = parsePolicy(text, 'p.yaml')
    assert.ok('policy' in result)
    return result.policy.version
  }
  const one = version('rules: [{name: a, effect: allow, rate_limit: {limit: 1, window: 60}}]')
  assert.match(one, /^sha256:[0-9a-f]{64}$/)
  assert.equal(
    version('# note\nrules:\n- effect: allow\n  rate_limit: {window: 1m, limit: 1}\n  name: "a"'),
    one,
  )
  assert.notEqual(version('rules: [{name: a, effect: deny}]'), one)
})

test('P12: aliases do not multiply, and no text makes it throw', () => {
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nrules: [*c,*c,*c,*c]`
  assert.ok(problemsOf(bomb).length > 0)
  fc.assert(fc.property(fc.string(), text => void parsePolicy(text, 'p.yaml')))
  fc.assert(
    fc.property(
      fc.json(),
      text => void parsePolicy(`rules: [{name: a, effect: allow, when: ${text}}]`, 'p.yaml'),
    ),
  )
})
