import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { after, before, test } from 'node:test'
import { type PracticeDatadog, startPracticeDatadog } from '../datadog/practice-datadog.ts'
import { listen, stop } from '../datadog/wire.ts'
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

test('where somebody adds the keys, it reads, deletes, and meets the end of the documentation', async () => {
  const { apiKey, appKey } = practice.keys
  const adding = createServer((from, to) => {
    const headers = { ...from.headers, 'dd-api-key': apiKey, 'dd-application-key': appKey }
    delete headers.authorization
    const onward = request(`${practice.url}${from.url}`, { method: from.method, headers }, answer => {
      to.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(to)
    })
    from.pipe(onward)
  })
  try {
    const steps = await runSampleAgent({ baseUrl: await listen(adding, 0), token: 'a-gateway-token' })
    assert.deepEqual(
      steps.map(step => [step.outcome, step.status]),
      [
        ['answered', 200],
        ['answered', 200],
        ['answered', 200],
        ['answered', 200],
        ['answered', 200],
        ['refused', 404],
      ],
    )
    assert.match(steps[1]!.got, /ana@example\.com/)
    assert.match(steps[2]!.got, /[0-9a-f]{32}$/)
    assert.equal(practice.state.monitors.size, 3)
  } finally {
    await stop(adding)
  }
})
