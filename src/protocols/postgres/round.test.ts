import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../errors.ts'
import { Round } from './round.ts'

const never = { send: () => assert.fail('sent'), begin: () => assert.fail('begun') }
const report = { severity: 'ERROR', code: '42501', message: 'no' } as const
const refusal = (error: unknown): boolean => error instanceof GatewayError && error.code === 'denied'

test('P5: who would ask waits until all are decided, and asks only where all may run', async () => {
  const round = new Round(3, never)
  const first = round.allDecided()
  round.decide(false)
  round.decide(false)
  const second = round.allDecided()
  assert.equal(await Promise.race([first, second, Promise.resolve('waits')]), 'waits')
  round.decide(false)
  await Promise.all([first, second, round.allDecided()])
})

test('P5: where one will not run the others are refused, after the client was told why', async () => {
  const round = new Round(2, never)
  const asking = round.allDecided()
  round.decide(false)
  round.decide(true)
  assert.equal(await Promise.race([asking, new Promise(resolve => setImmediate(resolve, 'waits'))]), 'waits')
  round.fail(report, new GatewayError('denied'))
  await assert.rejects(asking, refusal)
  assert.equal(round.problem, report)
})

test('P6: one that fails before it is decided ends the wait of the others', async () => {
  const round = new Round(2, never)
  const asking = round.allDecided()
  round.decide(false)
  round.fail(report, new GatewayError('recording-unavailable'))
  await assert.rejects(asking, refusal)
})

test('what is held ends when another is refused, and when its client leaves', () => {
  const client = new AbortController()
  const round = new Round(2, never)
  const { signal } = { signal: round.signalWith(client.signal) }
  assert.equal(signal.aborted, false)
  round.fail(report, new GatewayError('denied'))
  assert.equal(signal.aborted, true)
  assert.equal(round.signalWith(client.signal), signal)
  const alone = new Round(1, never)
  assert.equal(alone.signalWith(client.signal), client.signal)
  const late = new Round(2, never)
  late.fail(report, new GatewayError('denied'))
  assert.equal(late.signalWith(client.signal).aborted, true)
})
