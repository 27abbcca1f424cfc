import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { policySection } from '../config/policy.ts'
import { loadPolicy } from './load-policy.ts'
import { parsePolicyCases } from './parse-policy.ts'
import { judge } from './testing/fixtures.ts'

const rules = 'rules: [{name: a, effect: allow}]\n'

test('P6: a configuration without a policy denies everything', async () => {
  const loaded = await loadPolicy(policySection.parse(undefined), { file: 'sallyport.yaml', base: '.' })
  assert.ok('policy' in loaded)
  assert.equal(judge(loaded.policy).effect, 'deny')
})

test('reads the file that the configuration names, from its directory', async t => {
  const base = await mkdtemp(join(tmpdir(), 'policy-'))
  t.after(() => rm(base, { recursive: true }))
  await writeFile(join(base, 'policy.yaml'), rules)
  const origin = { file: join(base, 'sallyport.yaml'), base }
  const loaded = await loadPolicy(policySection.parse({ file: 'policy.yaml' }), origin)
  assert.ok('policy' in loaded)
  assert.equal(judge(loaded.policy).effect, 'permit')
  const missing = await loadPolicy(policySection.parse({ file: 'none.yaml' }), origin)
  assert.match('problems' in missing ? missing.problems[0]!.message : '', /ENOENT/)
})

test('a mistake in the configuration file itself has its place there', async () => {
  const text = "policy:\n  rules:\n    - name: a\n      effect: allow\n      when: subject.emial == 'x'\n"
  const section = policySection.parse((parse(text) as { policy: unknown }).policy)
  const loaded = await loadPolicy(section, { file: 'sallyport.yaml', base: '.', text })
  const [problem] = 'problems' in loaded ? loaded.problems : []
  assert.deepEqual([problem?.line, problem?.column, problem?.path], [5, 21, 'policy.rules[0].when'])
  const unlocated = await loadPolicy(section, { file: 'sallyport.yaml', base: '.' })
  assert.ok('problems' in unlocated && unlocated.problems[0]!.path === 'rules.0.when')
})

test('rules come from one place', () => {
  assert.equal(policySection.safeParse({ file: 'a', rules: [] }).success, false)
})

test('reads cases from a file of their own', () => {
  const good = parsePolicyCases(
    'tests: [{name: t, connection: c, action: {operation: o}, expect: {effect: deny}}]',
    't',
  )
  assert.ok('cases' in good && good.cases.length === 1)
  const bad = parsePolicyCases(
    'tests: [{name: t, connection: c, action: {operaton: o}, expect: {effect: deny}}]',
    't',
  )
  assert.ok('problems' in bad && bad.problems.some(each => /did you mean `operation`/.test(each.message)))
})
