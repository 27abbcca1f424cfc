import assert from 'node:assert/strict'
import { test } from 'node:test'
import { promises } from './promises.ts'
import { citedTests } from './sources.ts'

test('every promise is kept by a test that names it, and no test names a promise that is not made', () => {
  const cited = citedTests()
  for (const id of Object.keys(promises)) assert.ok((cited.get(id) ?? []).length > 0, `no test cites ${id}`)
  for (const id of cited.keys()) assert.ok(id in promises, `${id} is cited and not promised`)
})
