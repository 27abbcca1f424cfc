import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Action } from '../model/action.ts'
import type { Effect } from '../model/decision.ts'
import { judge, policyOf } from './testing/fixtures.ts'

const allowAll = { name: 'all', effect: 'allow' }
const approval = { approvers: ['group:leads'] }

function effectOf(
  rules: readonly unknown[],
  over: Parameters<typeof judge>[1] = {},
): [Effect, string, string?] {
  const { effect, reason, rule } = judge(policyOf(...rules), over)
  return rule === undefined ? [effect, reason] : [effect, reason, rule]
}

test('P6: without a rule everything is denied', () => {
  assert.deepEqual(effectOf([]), ['deny', 'no-rule-allows'])
  assert.deepEqual(effectOf([], { action: { known: false } }), ['deny', 'unknown-operation'])
})

test('a deny wins over an ask, an ask over an allow, wherever they stand', () => {
  const ask = { name: 'ask', effect: 'require_approval', approval }
  const deny = { name: 'deny', effect: 'deny', message: 'Ask in #sre' }
  assert.deepEqual(effectOf([allowAll]), ['permit', 'rule-allowed', 'all'])
  assert.deepEqual(effectOf([allowAll, ask]), ['ask', 'approval-required', 'ask'])
  assert.deepEqual(effectOf([ask, deny, allowAll]), ['deny', 'rule-denied', 'deny'])
  assert.equal(judge(policyOf(allowAll, deny)).message, 'Ask in #sre')
})

test('an ask needs no allow beside it', () => {
  assert.deepEqual(effectOf([{ name: 'ask', effect: 'require_approval', approval }]), [
    'ask',
    'approval-required',
    'ask',
  ])
})

test('an allow with scopes counts for tokens that list each of them, and else says which are needed', () => {
  const scoped = { name: 'scoped', effect: 'allow', scopes: ['read', 'write'] }
  const claims = (given: Record<string, unknown>) => ({ subject: { claims: given } })
  assert.deepEqual(effectOf([scoped], claims({ scope: 'write openid read' })), [
    'permit',
    'rule-allowed',
    'scoped',
  ])
  assert.deepEqual(effectOf([scoped], claims({ scp: ['read', 'write'] }))[0], 'permit')
  for (const given of [{}, { scope: 'read writes' }, { scp: ['read write'] }, { scope: 7 }]) {
    const lacking = judge(policyOf(scoped), claims(given))
    assert.deepEqual([lacking.effect, lacking.reason, lacking.rule], ['deny', 'insufficient-scope', 'scoped'])
    assert.deepEqual(lacking.scopes, ['read', 'write'])
  }
  assert.deepEqual(effectOf([scoped, allowAll]), ['permit', 'rule-allowed', 'all'])
  assert.deepEqual(effectOf([scoped, { name: 'no', effect: 'deny' }]), ['deny', 'rule-denied', 'no'])
  assert.throws(
    () => policyOf({ name: 'no', effect: 'deny', scopes: ['x'] }),
    /only a rule with effect allow/,
  )
})

const selections: readonly [string, unknown, Parameters<typeof judge>[1], boolean][] = [
  ['groups', { subjects: { groups: ['s*'] } }, {}, true],
  ['groups', { subjects: { groups: ['S*'] } }, {}, false],
  ['kinds', { subjects: { kinds: ['user', 'agent'] } }, {}, true],
  ['kinds', { subjects: { kinds: ['user'] } }, {}, false],
  ['e-mail in another case', { subjects: { emails: ['*@Example.com'] } }, {}, true],
  ['no e-mail', { subjects: { emails: ['*@x'] } }, {}, false],
  ['ids and groups, both needed', { subjects: { ids: ['other'], groups: ['sre'] } }, {}, false],
  ['issuers', { subjects: { issuers: ['https://issuer.example.com'] } }, {}, true],
  ['on behalf of nobody', { subjects: { on_behalf_of: ['*'] } }, {}, false],
  [
    'on behalf of',
    { subjects: { on_behalf_of: ['bob@example.com'] } },
    { subject: { onBehalfOf: { issuer: 'i', id: 'b', email: 'Bob@example.com' } } },
    true,
  ],
  ['claims', { subjects: { claims: { team: ['pay*', 'x'] } } }, {}, true],
  [
    'a list claim',
    { subjects: { claims: { team: ['b'] } } },
    { subject: { claims: { team: ['a', 'b'] } } },
    true,
  ],
  ['inherited claim', { subjects: { claims: { constructor: ['*'] } } }, {}, false],
  [
    'own claim of that name',
    { subjects: { claims: { constructor: ['x'] } } },
    { subject: { claims: { constructor: 'x' } } },
    true,
  ],
  ['names', { connections: { names: ['datadog-*'] } }, {}, true],
  ['labels', { connections: { labels: { env: 'prod' } } }, {}, true],
  ['inherited label', { connections: { labels: { toString: '*' } } }, {}, false],
  ['sensitivity', { connections: { sensitivity: ['low'] } }, {}, false],
  ['protocols', { connections: { protocols: ['datadog'] } }, {}, true],
  ['operations', { operations: ['v1.list*', 'v2.*'] }, {}, true],
  ['operations, another case', { operations: ['v1.LIST*'] }, {}, false],
  ['excluded', { operations: ['v1.*', '!v1.list*'] }, {}, false],
  ['excluded in another case', { operations: ['v1.*', '!V1.LIST*'] }, {}, false],
  ['only an exclusion', { operations: ['!v1.delete*'] }, {}, true],
  ['risks', { risks: ['read'] }, {}, true],
  ['risks', { risks: ['write', 'delete'] }, {}, false],
]

for (const [what, selectors, over, matches] of selections) {
  test(`an allow selects by ${what}: ${JSON.stringify(selectors)}`, () => {
    const rule = { ...allowAll, ...(selectors as object) }
    assert.equal(judge(policyOf(rule), over).effect, matches ? 'permit' : 'deny')
  })
}

test('P6: no spelling of an operation slips past a deny or an ask', () => {
  const drop = { operation: 'DROP TABLE', risk: 'delete' } as const
  const deny = { name: 'no-drop', effect: 'deny', operations: ['drop *'] }
  assert.equal(judge(policyOf(allowAll, deny), { action: drop }).rule, 'no-drop')
  const ask = { name: 'ask', effect: 'require_approval', operations: ['Drop Table'], approval }
  assert.equal(judge(policyOf(allowAll, ask), { action: drop }).effect, 'ask')
  const except = { name: 'no-drop', effect: 'deny', operations: ['*', '!drop table'] }
  assert.equal(judge(policyOf(allowAll, except), { action: drop }).effect, 'deny')
})

test('P6: an address in an operation is the same in either case of scheme and host, to every rule', () => {
  const read = (address: string) => ({
    action: { operation: `resources/read:${address}`, risk: 'read' as const },
  })
  const effect = (pattern: string, address: string): Effect =>
    judge(policyOf({ name: 'one', effect: 'allow', operations: [pattern] }), read(address)).effect
  for (const pattern of ['resources/read:memo://Host/*', 'resources/*:MEMO://hOST/a', '*:memo://host/a'])
    for (const address of ['memo://host/a', 'Memo://HOST/a'])
      assert.equal(effect(pattern, address), 'permit', `${pattern} ${address}`)
  assert.equal(effect('resources/read:memo://host/A', 'memo://host/a'), 'deny', 'the path is another')
  assert.equal(effect('resources/read:memo://Ana@host/*', 'memo://ana@host/a'), 'deny', 'who is another')
  assert.equal(effect('Resources/read:memo://host/*', 'memo://host/a'), 'deny', 'the method is another')
  const masked = {
    name: 'masked',
    effect: 'allow',
    operations: ['resources/read:memo://Host/*'],
    mask: ['personal'],
  }
  const { obligations } = judge(policyOf(allowAll, masked), read('MEMO://host/a'))
  assert.deepEqual(obligations.mask, ['personal'])
  // Of other operations the spelling is what it was.
  const path = { ...allowAll, operations: ['GET /to/http://Host/*'] }
  const get = { action: { operation: 'GET /to/http://host/a', risk: 'read' as const } }
  assert.equal(judge(policyOf(path), get).effect, 'deny')
})

const unknown: Partial<Action> = { operation: 'GET /beta/things', known: false }
const reaching: readonly [string, unknown, Effect][] = [
  ['no operations', {}, 'deny'],
  ['risk alone', { risks: ['read'] }, 'deny'],
  ['a bare glob', { operations: ['*'] }, 'deny'],
  ['a method', { operations: ['GET *', 'GET /*'] }, 'deny'],
  ['a glob, without unknown', { operations: ['GET /beta/*'] }, 'deny'],
  ['a glob that names the path, with unknown', { operations: ['GET /beta/*'], unknown: true }, 'permit'],
  ['the other case', { operations: ['GET /Beta/*'], unknown: true }, 'deny'],
  ['its full name', { operations: ['GET /beta/things'] }, 'permit'],
  ['its full name, excluded', { operations: ['GET /beta/things', '!get *'] }, 'deny'],
]
for (const [what, selectors, effect] of reaching) {
  test(`P6: an unknown operation and an allow by ${what}: ${effect}`, () => {
    assert.equal(
      judge(policyOf({ ...allowAll, ...(selectors as object) }), { action: unknown }).effect,
      effect,
    )
  })
}

test('P6: rules that restrict reach unknown operations whatever they select by', () => {
  const named = { name: 'named', effect: 'allow', operations: ['GET /beta/things'] }
  const ask = { name: 'ask', effect: 'require_approval', approval }
  assert.deepEqual(effectOf([named, { name: 'no', effect: 'deny', risks: ['read'] }], { action: unknown }), [
    'deny',
    'rule-denied',
    'no',
  ])
  assert.deepEqual(effectOf([named, ask], { action: unknown }), ['ask', 'approval-required', 'ask'])
  assert.deepEqual(effectOf([allowAll, ask], { action: unknown }), ['deny', 'unknown-operation'])
  assert.deepEqual(effectOf([{ ...ask, unknown: true }], { action: unknown }), [
    'ask',
    'approval-required',
    'ask',
  ])
})

test('P6: a condition that can not be evaluated restricts and never permits', () => {
  const when = "request.body.type == 'metric alert'"
  const ask = { name: 'ask', effect: 'require_approval', approval, when }
  assert.deepEqual(effectOf([{ ...allowAll, when }]), ['deny', 'condition-error'])
  assert.deepEqual(effectOf([allowAll, { name: 'no', effect: 'deny', when }]), [
    'deny',
    'condition-error',
    'no',
  ])
  assert.deepEqual(effectOf([allowAll, ask]), ['ask', 'condition-error', 'ask'])
  assert.deepEqual(judge(policyOf({ ...allowAll, when })).conditionErrors, [
    { rule: 'all', error: 'there is no `request.body`' },
  ])
})

test('shadow rules are noted and change nothing', () => {
  const shadow = { name: 'would', effect: 'deny', shadow: true, mask: ['personal'], record: 'none' }
  const decision = judge(policyOf(allowAll, shadow, { ...shadow, name: 'not', risks: ['admin'] }))
  assert.equal(decision.effect, 'permit')
  assert.deepEqual(decision.shadow, [{ rule: 'would', effect: 'deny' }])
  assert.deepEqual(decision.matched, ['all'])
  assert.deepEqual(decision.obligations.mask, [])
  assert.equal(decision.obligations.record, 'full')
})

test('obligations of all matching rules add up', () => {
  const { obligations } = judge(
    policyOf(
      { ...allowAll, mask: ['personal'], record: 'none', rate_limit: { limit: 5, window: '1m' } },
      {
        name: 'b',
        effect: 'allow',
        mask: ['secrets', 'personal'],
        mask_request: ['cards'],
        record: 'metadata',
      },
      { name: 'c', effect: 'allow', risks: ['admin'], mask: ['other'], record: 'full' },
    ),
  )
  assert.deepEqual(obligations, {
    mask: ['personal', 'secrets'],
    maskRequest: ['cards'],
    record: 'metadata',
    rateLimits: [{ rule: 'all', limit: 5, windowMs: 60_000 }],
  })
})

// What follows holds for any policy, so it is tried on many.

const selectors = fc.record(
  {
    operations: fc.subarray(['*', 'v1.*', 'GET /beta/*', 'GET /beta/things', '!v1.list*'], { minLength: 1 }),
    risks: fc.subarray(['read', 'write'], { minLength: 1 }),
    subjects: fc.constantFrom({ groups: ['sre'] }, { groups: ['other'] }),
    when: fc.constantFrom('true', 'false', 'request.body.x == 1', "request.method == 'GET'"),
    mask: fc.subarray(['personal', 'secrets']),
  },
  { requiredKeys: [] },
)
const anyRule = fc
  .tuple(fc.constantFrom('allow', 'deny', 'require_approval'), selectors, fc.boolean())
  .map(([effect, by, shadow]) => ({
    effect,
    shadow,
    ...by,
    ...(effect === 'require_approval' ? { approval } : {}),
  }))
const anyRules = fc
  .array(anyRule, { maxLength: 8 })
  .map(rules => rules.map((rule, i) => ({ name: `r${i}`, ...rule })))
const anyAction = fc.record({
  operation: fc.constantFrom('v1.listMonitors', 'v1.createMonitor', 'GET /beta/things'),
  known: fc.boolean(),
  risk: fc.constantFrom('read' as const, 'write' as const),
  content: fc.constantFrom({ method: 'GET' }, { method: 'POST', body: { x: 1 } }),
})

const gravity: Record<Effect, number> = { permit: 0, ask: 1, deny: 2 }
const gravityOf = (rules: readonly unknown[], action: Partial<Action>): number =>
  gravity[judge(policyOf(...rules), { action }).effect]

test('the order of rules never changes the effect nor what a permit demands', () => {
  fc.assert(
    fc.property(anyRules, anyAction, fc.infiniteStream(fc.nat()), (rules, action, random) => {
      const keyed = rules.map(rule => ({ rule, key: random.next().value as number }))
      const shuffled = keyed.sort((a, b) => a.key - b.key).map(each => each.rule)
      const [one, other] = [judge(policyOf(...rules), { action }), judge(policyOf(...shuffled), { action })]
      assert.equal(one.effect, other.effect)
      assert.deepEqual([...one.obligations.mask].sort(), [...other.obligations.mask].sort())
    }),
  )
})

test('P6: a matching deny always wins, and adding a deny or an ask never permits more', () => {
  fc.assert(
    fc.property(anyRules, anyRule, anyAction, (rules, extra, action) => {
      const before = gravityOf(rules, action)
      if (extra.effect === 'deny')
        assert.ok(gravityOf([...rules, { name: 'extra', ...extra }], action) >= before)
      assert.equal(gravityOf([...rules, { name: 'extra', effect: 'deny' }], action), gravity.deny)
    }),
  )
})

test('P6: removing an allow never permits more', () => {
  fc.assert(
    fc.property(anyRules, anyAction, fc.nat(), (rules, action, at) => {
      const allows = rules.filter(rule => rule.effect === 'allow')
      const removed = allows[at % Math.max(1, allows.length)]
      const left = rules.filter(rule => rule !== removed)
      assert.ok(gravityOf(left, action) >= gravityOf(rules, action))
    }),
  )
})

test('P6: an unknown operation is never permitted by globs, absence or risk alone', () => {
  fc.assert(
    fc.property(anyRules, anyAction, (rules, action) => {
      const decision = judge(policyOf(...rules), { action: { ...action, known: false } })
      const named = rules.some(rule => rule.operations?.includes('GET /beta/things'))
      if (decision.effect === 'permit') assert.ok(named && action.operation === 'GET /beta/things')
    }),
  )
})

test('an allow needs everything acted on to be named, a rule that restricts any of it', () => {
  const policy = policyOf(
    { name: 'sales', effect: 'allow', resources: ['sales.*', 'public.orders', '!sales.secret'] },
    { name: 'no-payroll', effect: 'deny', resources: ['PAYROLL', 'hr.*', '!hr.holidays'] },
  )
  const effectOf = (...resources: string[][]): string =>
    judge(policy, { action: { resources: resources as [string, ...string[]][] } }).effect
  assert.equal(effectOf(['sales.x', 'x'], ['public.orders', 'orders']), 'permit')
  assert.equal(effectOf(['sales.x', 'x'], ['public.other', 'other']), 'deny')
  assert.equal(effectOf(['sales.secret', 'secret']), 'deny')
  assert.equal(effectOf(['sales.payroll', 'payroll']), 'deny')
  assert.equal(effectOf(['Sales.x', 'x']), 'deny')
  assert.equal(judge(policy, { action: { resources: [['hr.x', 'x']] } }).rule, 'no-payroll')
  assert.equal(judge(policy, { action: { resources: [['hr.holidays', 'holidays']] } }).rule, undefined)
  // Nothing that can be named is no reason to let it pass.
  assert.equal(effectOf(), 'deny')
  assert.equal(judge(policy, { action: { resources: [] } }).rule, undefined)
  assert.equal(judge(policy).rule, 'no-payroll')
})

test('conditions see the exact names of what is acted on', () => {
  const policy = policyOf({
    name: 'own',
    effect: 'allow',
    when: "action.resources.all(r, r.startsWith('own.'))",
  })
  assert.equal(judge(policy, { action: { resources: [['own.a', 'a']] } }).effect, 'permit')
  assert.equal(
    judge(policy, {
      action: {
        resources: [
          ['own.a', 'a'],
          ['b.own.', 'x'],
        ],
      },
    }).effect,
    'deny',
  )
  assert.equal(judge(policy).reason, 'condition-error')
})

test('of limits of rows the smaller holds, and of equal ones the one that refuses', () => {
  const limit = (rows: number, beyond?: string) => ({
    name: `${beyond ?? 'cut'}-${rows}`,
    effect: 'allow',
    limit_rows: { rows, ...(beyond === undefined ? {} : { beyond }) },
  })
  const of = (...rules: unknown[]) => judge(policyOf(...rules)).obligations.limitRows
  assert.equal(of(allowAll), undefined)
  assert.deepEqual(of(allowAll, limit(5)), { rule: 'cut-5', rows: 5, beyond: 'cut' })
  assert.equal(of(limit(9), limit(5), limit(7, 'refuse'))?.rule, 'cut-5')
  assert.equal(of(limit(5), limit(5, 'refuse'))?.beyond, 'refuse')
})
