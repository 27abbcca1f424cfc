import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { renderExplanation } from './explain.ts'
import { parsePolicy } from './parse-policy.ts'
import { runPolicyTests } from './policy-tests.ts'
import { noon } from './testing/fixtures.ts'

const at = (name: string): URL => new URL(`testing/golden/${name}`, import.meta.url)

test('the decisions and explanations of the golden cases are as reviewed', async () => {
  const parsed = parsePolicy(await readFile(at('policy.yaml'), 'utf8'), 'policy.yaml')
  assert.ok('policy' in parsed, JSON.stringify(parsed))
  const results = runPolicyTests(parsed.policy, { now: noon })
  for (const { name, differences } of results) assert.deepEqual(differences, [], name)
  const decisions = results.map(({ name, explanation }) => {
    const { policyVersion: _version, ...decision } = explanation!.decision
    return { name, decision }
  })
  await golden('decisions.json', `${JSON.stringify(decisions, undefined, 2)}\n`)
  await golden(
    'explanations.txt',
    results.map(({ name, explanation }) => `# ${name}\n${renderExplanation(explanation!)}`).join('\n'),
  )
})

async function golden(name: string, made: string): Promise<void> {
  if (process.env['SALLYPORT_GOLDEN'] === 'write') await writeFile(at(name), made)
  assert.equal(made, await readFile(at(name), 'utf8'))
}
