/** The shape of the house: who may import whom, how long a file may be, and who may say a protocol's name. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { root, sources } from './sources.ts'

/** A folder may import from its own and from those before it. */
const order = [
  [
    'model',
    'clock.ts',
    'errors.ts',
    'id.ts',
    'log.ts',
    'random.ts',
    'sha256.ts',
    'unambiguous-json.ts',
    'version.ts',
  ],
  ['config', 'storage', 'audit', 'masking', 'credentials', 'identity', 'policy', 'recording', 'guards'],
  ['export', 'detection', 'retention', 'witness'],
  ['gateway'],
  ['approvals', 'protocols'],
  ['api'],
  ['main.ts', 'serve'],
  ['cli'],
]

/** Imports of types alone that go up the order, each with its reason. */
const allowedUp: Record<string, string> = {}

const ceiling = 500
/** Files over the ceiling, each with its reason. */
const long: Record<string, string> = {}

function rank(path: string): number {
  const top = path.split('/')[1]!
  const found = order.findIndex(group => group.includes(top))
  assert.ok(found >= 0, `${path} is in no folder of the house`)
  return found
}

function imports(path: string, text: string): string[] {
  const found = [
    ...text.matchAll(/^(?:import|export)\s[^'"]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm),
  ]
  return found
    .map(([, a, b, c]) => a ?? b ?? c!)
    .filter(name => name.startsWith('.'))
    .map(name => normalize(join(dirname(path), name)))
}

test('imports go one way', () => {
  const files = sources('src/**/*.ts').filter(({ path }) => !path.endsWith('.test.ts'))
  assert.ok(files.length > 50, 'the sources were not found')
  const wrong = files.flatMap(({ path, text }) =>
    imports(path, text)
      .filter(
        target =>
          target.startsWith('src/') && rank(target) > rank(path) && !(`${path} -> ${target}` in allowedUp),
      )
      .map(target => `${path} -> ${target}`),
  )
  assert.deepEqual(wrong, [])
})

test('the product needs nothing from the practice stand-ins or the tests', () => {
  const wrong = sources('src/**/*.ts')
    .filter(
      ({ path }) =>
        !path.endsWith('.test.ts') &&
        !path.includes('/testing/') &&
        path !== 'src/cli/commands/quickstart.ts',
    )
    .flatMap(({ path, text }) =>
      imports(path, text)
        .filter(target => !target.startsWith('src/'))
        .map(target => `${path} -> ${target}`),
    )
  assert.deepEqual(wrong, [])
})

test('P3: the verifier imports Node and its own folder only', () => {
  const files = sources('src/audit/verify.ts', 'src/audit/verify/**/*.ts').filter(
    ({ path }) => !path.endsWith('.test.ts'),
  )
  assert.ok(files.length > 0)
  for (const { path, text } of files) {
    for (const target of imports(path, text))
      assert.match(target, /^src\/audit\/verify(\/|\.ts$)/, `${path} imports ${target}`)
    for (const [, name] of text.matchAll(/from '([^.'][^']*)'/g))
      assert.match(name!, /^node:/, `${path} imports ${name}`)
  }
})

test('outside its folder nobody says the name of a protocol', () => {
  const names = /\b(http|datadog|postgres|mcp)(Protocol|Connection)\b|protocols\/(http|mcp|postgres)\//
  const composers = new Set(['src/main.ts', 'src/serve/protocols.ts'])
  const wrong = sources('src/{gateway,policy,approvals,audit,recording,identity,storage,masking}/**/*.ts')
    .filter(({ path, text }) => !path.endsWith('.test.ts') && !composers.has(path) && names.test(text))
    .map(({ path }) => path)
  assert.deepEqual(wrong, [])
})

test('the console asks the API and knows nothing else of the gateway', () => {
  const files = sources('console/src/**/*.{ts,tsx}')
  assert.ok(files.length > 50, 'the sources were not found')
  const wrong = files.flatMap(({ path, text }) =>
    imports(path, text)
      .filter(target => !target.startsWith('console/src/'))
      .map(target => `${path} -> ${target}`),
  )
  assert.deepEqual(wrong, [])
})

test(`no file is longer than ${ceiling} lines`, () => {
  const over = sources('{src,practice,bench,test,examples,console}/**/*.{ts,tsx}')
    .filter(
      ({ path, text }) =>
        text.split('\n').length > ceiling && !path.endsWith('.generated.ts') && !(path in long),
    )
    .map(({ path, text }) => `${path}: ${text.split('\n').length}`)
  assert.deepEqual(over, [])
})

test('every runtime dependency is used, and has its reason in an ADR', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const all = sources('src/**/*.ts')
    .map(({ text }) => text)
    .join('\n')
  const reasons = sources('docs/adr/*.md')
    .map(({ text }) => text)
    .join('\n')
  for (const name of Object.keys(dependencies)) {
    assert.ok(all.includes(`from '${name}`) || all.includes(`import('${name}`), `${name} is not used`)
    assert.ok(reasons.includes(`\`${name}\``), `${name} has no reason in docs/adr`)
  }
})
