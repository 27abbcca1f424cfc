/**
 * The official suite against our own fixture, directly and through a gateway with everything on, compared check by
 * check.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import {
  exceptionFor,
  failing,
  lost,
  passes,
  revisions,
  runSuite,
  runThrough,
} from '../support/conformance.ts'
import { ownChecks, ownException, runOwn } from '../support/conformance-own.ts'

const least = { '2025-11-25': 84, '2026-07-28': 196 }
const leastOwn = { '2025-11-25': 25, '2026-07-28': 60 }

for (const revision of revisions) {
  test(`P11: no check of ${revision} fails, and each that passes directly passes through the gateway`, async () => {
    await using practice = await startPracticeMcp()
    const direct = await runSuite('server', ['--url', practice.url, '--requirements', revision])
    assert.deepEqual(failing(direct.checks), [])
    assert.equal(direct.exitCode, 0, direct.output)
    assert.ok(passes(direct.checks) >= least[revision], `${passes(direct.checks)} checks passed`)

    const { run: through, entries } = await runThrough(practice.url, revision)
    const unexplained = [...lost(direct.checks, through.checks)].filter(
      ([name]) => exceptionFor(name) === undefined,
    )
    assert.deepEqual(unexplained, [])
    assert.deepEqual(
      failing(through.checks).filter(each => exceptionFor(each) === undefined),
      [],
    )
    assert.equal(through.exitCode, 0, through.output)
    assert.ok(entries > passes(direct.checks), 'each call has its entries')
  })
  test(`the gateway’s own MCP server fails no check of ${revision} that applies to it`, async () => {
    const checks = ownChecks(await runOwn(revision))
    const failed = checks.filter(each => each.status === 'FAILURE' && ownException(each) === undefined)
    assert.deepEqual(failing(failed), [])
    assert.ok(passes(checks) >= leastOwn[revision], `${passes(checks)} passed`)
  })
}
