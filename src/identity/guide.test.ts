import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { identitySection, rolesSection } from '../config/identity.ts'
import { refusalReasons } from './refusals.ts'

const guide = await readFile(new URL('../../docs/guides/identity.md', import.meta.url), 'utf8')

test('the table of refusal reasons in the guide is the registry', () => {
  const table = guide.slice(guide.indexOf('| reason | meaning |'))
  const rows = [...table.matchAll(/^\| `([a-z-]+)` \| (.*) \|$/gm)].map(row => [row[1], row[2]])
  assert.deepEqual(rows, Object.entries(refusalReasons))
})

test('every example in the guide is valid configuration', () => {
  const part = z.strictObject({ identity: identitySection, roles: rolesSection })
  const examples = [...guide.matchAll(/^```yaml\n(.*?)^```$/gms)].map(match => match[1]!)
  assert.ok(examples.length >= 9)
  for (const example of examples) {
    const result = part.safeParse(parse(example))
    assert.ok(result.success, `${example}\n${result.error?.message}`)
  }
})
