/** Datadog's own limit, shared by two identities with the official client. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { v1 } from '@datadog/datadog-api-client'
import { byApiKey } from '../support/datadog-story.ts'
import { openGateway } from '../support/gateway.ts'
import { createWorld } from '../support/world.ts'

test('P12: an agent that floods leaves the others their part of Datadog’s limit', async () => {
  // Time stands still, so that all of it is one window.
  await using world = await createWorld({
    callsPerMinute: 40,
    now: () => 1_790_000_040_000,
    config: { policy: { rules: [{ name: 'all', effect: 'allow', risks: ['read'] }] } },
  })
  await using gateway = await openGateway(world)
  const base = `${gateway.url}/c/datadog`
  const callsOf = async (who: string): Promise<{ passed: number; refused: number[] }> => {
    const api = new v1.MonitorsApi(byApiKey(base, await world.token(who)))
    const refused: number[] = []
    let passed = 0
    for (let i = 0; i < 45; i++) {
      const status = await api.listMonitors().then(
        () => 200,
        (error: { code: number }) => error.code,
      )
      if (status === 200) passed++
      else refused.push(status)
    }
    return { passed, refused }
  }
  const flood = await callsOf('triage-agent')
  assert.ok(flood.passed >= 30 && flood.passed < 40, String(flood.passed))
  assert.deepEqual([...new Set(flood.refused)], [429])
  const late = await callsOf('ana')
  assert.ok(late.passed >= 1, String(late.passed))
  const refusals = (await gateway.entries()).filter(each => each.kind === 'action.denied')
  assert.equal(refusals.length, flood.refused.length + late.refused.length)
  assert.ok(refusals.every(each => (each as unknown as { reason: string }).reason === 'target-limit'))
})
