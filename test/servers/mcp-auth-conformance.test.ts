/** The official suite's legs for OAuth clients, with the gateway as the client of its upstreams. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { failing, passes, runSuite } from '../support/conformance.ts'
import { authLegs, type AuthSubject, otherLegs, startAuthSubject } from '../support/conformance-auth.ts'

let subject: AuthSubject

before(async () => {
  subject = await startAuthSubject()
})

after(() => subject[Symbol.asyncDispose]())

for (const leg of authLegs)
  test(`${leg}: no check fails`, async () => {
    const run = await runSuite('client', ['--command', subject.command, '--scenario', leg])
    assert.deepEqual(failing(run.checks), [])
    assert.ok(passes(run.checks) > 0, run.output)
    assert.equal(run.exitCode, 0, run.output)
  })

test('every leg of the suite is either taken or named with the reason why not', async () => {
  const { output } = await runSuite('list', [])
  const all = new Set(output.match(/auth\/[a-z0-9-]+/g))
  assert.deepEqual([...all].toSorted(), [...authLegs, ...Object.keys(otherLegs)].toSorted())
})
