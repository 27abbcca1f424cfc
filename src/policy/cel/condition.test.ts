import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Environment } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import { compileCondition, type Variables } from './condition.ts'
import { ConditionError } from './values.ts'

function variables(request: Record<string, unknown> = {}): Variables {
  return {
    subject: {
      issuer: 'i',
      id: 's',
      email: 'ana@example.com',
      kind: 'agent',
      groups: ['sre'],
      claims: { n: 1 },
    },
    connection: { name: 'c', protocol: 'datadog', sensitivity: 'high', labels: { env: 'prod' } },
    action: { operation: 'v1.x', risk: 'read', resource: '/', known: true },
    request,
    now: new Date('2026-11-21T12:30:45Z'),
  }
}

function evaluate(text: string, request?: Record<string, unknown>): boolean | ConditionError {
  const condition = compileCondition(text)
  assert.ok('evaluate' in condition, `${text}: ${JSON.stringify(condition)}`)
  return condition.evaluate(variables(request))
}

const body = { n: 3, big: 1e9, s: 'Prod-EU', tags: ['a', 'prod'], o: { x: null, y: [1, { z: 2 }] }, t: true }

const truths = [
  "request.body.tags == ['a', 'prod'] && request.body.o.y == [1, {'z': 2}]",
  "'prod' in request.body.tags && !('x' in request.body.tags) && 'x' in {'x': 1}",
  "request.body.n in [1, 2, 3] && request.body.n == 3 && request.body.n != '3'",
  'request.body.n + 1 == 4 && request.body.n * 2.0 > 5 && -request.body.n < 0 && 7 % 4 == 3 && 7 / 2 == 3',
  "request.body['s'].startsWith('Prod') && request.body.s.endsWith('EU') && request.body.s.contains('d-E')",
  "request.body.s.lowerAscii() == 'prod-eu' && request.body.s.split('-')[1] == 'EU' && ['a','b'].join('+') == 'a+b'",
  "request.body.s.matches('^prod') == false && request.body.s.matches('(?i)^PROD-(eu|us)$')",
  "size('a😀') == 2 && size(request.body.tags) == 2 && request.body.o.size() == 2",
  "request.body.tags.all(t, size(t) > 0) && request.body.tags.exists(t, t == 'prod')",
  "request.body.tags.exists_one(t, t == 'a') && request.body.tags.filter(t, t != 'a') == ['prod']",
  "request.body.tags.map(t, t + '!') == ['a!', 'prod!'] && request.body.tags.map(t, t == 'a', t) == ['a']",
  "request.body.o.all(key, key in ['x', 'y']) && request.body.o.x == null",
  'has(request.body.o) && has(request.body.o.x) == false || has(request.body.o.x)',
  "type(request.body.n) == double && type(request.body.tags) == list && type(1) == int && type('') == string",
  "now > timestamp('2026-11-21T00:00:00Z') && now - timestamp('2026-11-21T12:30:00Z') < duration('1m')",
  "now.getHours() == 12 && now.getHours('Europe/Berlin') == 13 && now.getDayOfWeek() == 6 && now.getMonth() == 10",
  "int('42') == 42 && double('1.5') == 1.5 && string(7) == '7' && int(3.9) == 3",
  "(request.body.t ? 'a' : 'b') == 'a' && subject.claims.n == 1 && connection.labels.env == 'prod'",
  // What settles the answer outweighs an error on the other side, whichever side it is.
  'request.body.missing == 1 || true',
  '!(request.body.missing == 1 && false)',
  'request.body.tags.exists(t, t.missing == 1 || t == "prod")',
]
for (const text of truths) {
  test(`true: ${text}`, () => assert.equal(evaluate(text, { body }), true))
}

const failures = [
  'request.body.missing == 1',
  'request.body.o.x.y == 1',
  'request.body.tags[7] == "a"',
  'request.body.tags["a"] == "a"',
  'request.body.s > 1',
  'request.body.s && true',
  'request.body.s + 1 == 2',
  'request.body.n % 2 == 1',
  'request.body.n.startsWith("a")',
  'request.body.tags.all(t, t.x)',
  'request.body.n.exists(t, true)',
  '1 / 0 == 1',
  '9223372036854775807 + 1 > 0',
  'int(request.body.s) == 1',
  'timestamp(request.body.s) < now',
  'duration(request.body.s) < duration("1m")',
  'subject.on_behalf_of.email == "x"',
  'request.body',
]
for (const text of failures) {
  test(`P6: an error, not an answer: ${text}`, () => {
    assert.ok(evaluate(text, { body }) instanceof ConditionError)
  })
}

const rejected: readonly [string, RegExp, number][] = [
  ['request.method ==', /EOF/, 17],
  ["subject.emial == 'x'", /did you mean `email`/, 8],
  ["subject.on_behalf_of.mail == 'x'", /did you mean `email`/, 21],
  ['foo == 1', /no variable `foo`/, 0],
  ["request.path.match('a')", /no function `match`/, 0],
  ["request.path.matches('(')", /parsing regexp/, 21],
  ["request.path.matches('(a)\\\\1')", /parsing regexp/, 21],
  ['request.path.matches(request.body.re)', /literal/, 21],
  ["now.getHours('Mars/Base') > 1", /time zone/, 13],
  ["subject.groups.exists(request, request == 'a')", /another name/, 22],
  ["b'ab' == b'ab'", /bytes/, 0],
  ["'text'", /true or false/, 0],
  ['subject.email + 1 == 2', /overload/, 0],
  ['cel.bind(x, 1, x == 1)', /no function `bind`/, 0],
  [`${'('.repeat(200)}true${')'.repeat(200)}`, /./, 0],
  [`${'!'.repeat(4000)}true`, /./, 0],
  [`${'true || '.repeat(600)}true`, /characters/, 4096],
  [`${'[1].all(a, '.repeat(4)}true${')'.repeat(4)}`, /at most 3 deep/, 33],
]
for (const [text, message, offset] of rejected) {
  test(`P12: refused when loaded: ${text.slice(0, 60)}`, () => {
    const problem = compileCondition(text)
    assert.ok(!('evaluate' in problem))
    assert.match(problem.message, message)
    if (text.length < 60) assert.equal(problem.offset, offset)
  })
}

test('prototype names are keys like any other', () => {
  const own = JSON.parse('{"__proto__": {"admin": true}, "constructor": "x", "toString": 1}') as unknown
  assert.equal(
    evaluate("request.body.constructor == 'x' && request.body.__proto__.admin", { body: own }),
    true,
  )
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    assert.equal(evaluate(`has(request.body.${name}) || '${name}' in request.body`, { body: {} }), false)
    assert.ok(evaluate(`request.body['${name}'] == 1`, { body: {} }) instanceof ConditionError)
  }
})

test('knows which conditions read the body', () => {
  const reads = (text: string): boolean => {
    const condition = compileCondition(text)
    assert.ok('evaluate' in condition)
    return condition.readsBody
  }
  for (const text of [
    'has(request.body)',
    "request['body'].x",
    'request[subject.id] == 1',
    "'a' in request",
  ]) {
    assert.equal(reads(text), true, text)
  }
  for (const text of ["request.method == 'GET'", "request['path'] == '/'", 'subject.claims.body == 1']) {
    assert.equal(reads(text), false, text)
  }
})

test('knows which conditions look at what is acted on', () => {
  for (const [text, expected] of [
    ["action.resources.all(r, r.startsWith('public.'))", true],
    ["'x' in action.resources", true],
    ["action['resources'].size() == 1", true],
    ["action.resource == 'x'", false],
    ['action.known', false],
  ] as const) {
    const condition = compileCondition(text)
    assert.ok('evaluate' in condition, text)
    assert.equal(condition.readsResources, expected, text)
    assert.deepEqual(condition.unrecorded, expected && text[6] !== '[' ? ['request'] : [])
  }
})

// A hostile request must cost little: without a budget the loops among these take minutes to hours.
const hostile: readonly [string, string, () => unknown][] = [
  [
    'nested loops',
    'request.body.exists(a, request.body.exists(b, a == b + "x"))',
    () => Array(1e5).fill('y'),
  ],
  [
    'triple map',
    'request.body.map(a, request.body.map(b, request.body.map(c, c))) == []',
    () => Array(300).fill(1),
  ],
  ['membership in a loop', 'request.body.all(a, !(a + "z" in request.body))', () => Array(1e5).fill('y')],
  [
    'equality in a loop',
    'request.body.l.all(a, request.body.l == request.body.m)',
    () => ({ l: Array(1e5).fill(1), m: Array(1e5).fill(1) }),
  ],
  [
    'keys in a loop',
    'request.body.l.all(a, size(request.body.m) > 0)',
    () => ({
      l: Array(1e5).fill(1),
      m: Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [`k${i}`, i])),
    }),
  ],
  [
    'text in a loop',
    'request.body.l.all(a, !request.body.s.contains("yz"))',
    () => ({ l: Array(1e5).fill(1), s: 'y'.repeat(1e6) }),
  ],
  ['a large pattern on a long text', 'request.body.matches("^(a?){500}b$")', () => 'a'.repeat(1e6)],
  [
    'one comparison of long lists',
    'request.body.l == request.body.m',
    () => ({ l: Array(2e5).fill(1), m: Array(2e5).fill(1) }),
  ],
  ['one search in a long list', '"z" in request.body', () => Array(1e6).fill('y')],
  [
    'a loop that another side would settle',
    'request.body.exists(a, a == 1) || true',
    () => Array(1e6).fill('y'),
  ],
]
for (const [what, text, make] of hostile) {
  test(`P12: ${what} ends by the budget`, { timeout: 10_000 }, () => {
    const result = evaluate(text, { body: make() })
    assert.ok(result instanceof ConditionError)
    assert.match(result.message, /steps/)
  })
}

test('P12: a pattern that backtracks elsewhere runs in linear time', { timeout: 10_000 }, () => {
  assert.equal(evaluate("request.path.matches('^(a+)+$')", { path: `${'a'.repeat(50_000)}!` }), false)
  assert.ok(
    evaluate('duration(request.path) < duration("1m")', { path: '1'.repeat(1e6) }) instanceof ConditionError,
  )
})

test('P12: values nested too deeply to compare are an error, not an exhausted stack', () => {
  const deep = (): unknown => JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`) as unknown
  assert.ok(evaluate('request.a == request.b', { a: deep(), b: deep() }) instanceof ConditionError)
})

// The parser is the library's and the evaluator ours: on what both can do they agree.
const leaf = fc.constantFrom(
  '1',
  '2',
  "'a'",
  "'b'",
  'true',
  'false',
  'null',
  'request.a',
  'request.s',
  'request.l',
  'request.m.k',
  'request.none',
)
const { expression } = fc.letrec<{ expression: string }>(tie => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .tuple(
        tie('expression'),
        fc.constantFrom('==', '!=', '&&', '||', '<', '>=', '+', '-'),
        tie('expression'),
      )
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc
      .tuple(tie('expression'), tie('expression'), tie('expression'))
      .map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
    tie('expression').map(a => `!${a}`),
    tie('expression').map(a => `[${a}, 1]`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `(${a} in [${b}, 'a'])`),
    fc
      .tuple(fc.constantFrom('all', 'exists', 'exists_one'), tie('expression'))
      .map(([name, a]) => `request.l.${name}(x, x == ${a})`),
    tie('expression').map(a => `size([${a}])`),
  ),
}))

test('agrees with the library on what both evaluate', () => {
  const library = new Environment({ homogeneousAggregateLiterals: false }).registerVariable(
    'request',
    'map<string, dyn>',
  )
  const request = { a: 1n, s: 'a', l: ['a', 'b'], m: { k: true } }
  let compared = 0
  fc.assert(
    fc.property(expression, text => {
      const condition = compileCondition(text)
      if (!('evaluate' in condition)) return
      let theirs: unknown
      try {
        theirs = library.evaluate(text, { request })
      } catch {
        theirs = undefined
      }
      const ours = condition.evaluate(variables(request))
      compared++
      assert.equal(
        ours instanceof ConditionError ? undefined : ours,
        typeof theirs === 'boolean' ? theirs : undefined,
      )
    }),
    { numRuns: 2000 },
  )
  assert.ok(compared > 200, `only ${compared} expressions were fit to compare`)
})
