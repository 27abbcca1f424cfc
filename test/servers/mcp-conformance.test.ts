/** The official suite against our own fixture: directly, nothing may fail. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { failing, passing, revisions, runSuite } from '../support/conformance.ts'

const least = { '2025-11-25': 80, '2026-07-28': 190 }

for (const revision of revisions) {
  test(`the fixture fails no check of ${revision}`, async () => {
    await using practice = await startPracticeMcp()
    const run = await runSuite('server', ['--url', practice.url, '--requirements', revision])
    assert.deepEqual(failing(run.checks), [])
    assert.equal(run.exitCode, 0, run.output)
    const count = run.checks.filter(each => each.status === 'SUCCESS').length
    assert.ok(count >= least[revision], `${count} checks passed, ${passing(run.checks).size} by name`)
  })
}
