import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type PracticeDatadog, startPracticeDatadog } from '../datadog/practice-datadog.ts'
import { runSampleAgent } from './agent.ts'

let practice: PracticeDatadog
before(async () => (practice = await startPracticeDatadog()))
after(() => practice.close())

test('without credentials of Datadog every step is refused, and said so', async () => {
  const steps = await runSampleAgent({ baseUrl: practice.url, token: 'a-gateway-token' })
  assert.deepEqual(
    steps.map(step => [step.outcome, step.status, step.got]),
    [
      ['refused', 403, 'Forbidden'],
      ['refused', 403, 'Forbidden'],
      ['refused', 403, 'Forbidden'],
      ['refused', 403, 'Forbidden'],
      ['refused', 403, 'Forbidden'],
    ],
  )
})

test('nobody there is a failure, not a refusal', async () => {
  const gone = await startPracticeDatadog()
  await gone.close()
  const [first] = await runSampleAgent({ baseUrl: gone.url, token: 'x' })
  assert.deepEqual([first?.outcome, first?.status], ['failed', 0])
})
