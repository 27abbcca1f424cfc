import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCli } from '../../test/support/cli.ts'

test('the quickstart tells its story to the end, and what was noticed is in the feed', async t => {
  const cwd = await mkdtemp(join(tmpdir(), 'sallyport-quickstart-test-'))
  t.after(() => rm(cwd, { recursive: true, force: true }))
  const { code, stdout, stderr } = await runCli(['quickstart'], { cwd })
  assert.equal(code, 0, stderr + stdout)
  const feed = stdout.split('\n').filter(line => line.startsWith('  audit │'))
  for (const words of [
    /first_use_found {2}First use of the connection datadog-prod/,
    /denial_streak_found {2}\d+ refusals within 10 min, then a success/,
    /surge_found {2}\d+ actions within a minute; the ceiling is 20/,
  ])
    assert.ok(
      feed.some(line => words.test(line)),
      `${words.source} is not in the feed:\n${feed.join('\n')}`,
    )
  assert.match(stdout, /approved: “agreed in stand-up”/)
  assert.match(stdout, /v1\.deleteMonitor.*rule nothing-is-deleted/)
})
