import { type PracticeIntake, startPracticeIntake } from '../../../practice/datadog/intake.ts'
import { type Fault, testSink } from '../contract.ts'
import { createDatadogSink } from './index.ts'

type IntakeFault = Exclude<Parameters<PracticeIntake['fail']>[0], undefined>

const faults: Partial<Record<Fault, IntakeFault>> = {
  down: { kind: 'down' },
  'lost-answer': { kind: 'reset-after-accept' },
  overloaded: { kind: 'status', status: 429 },
  slow: { kind: 'slow', ms: 60_000 },
  poison: { kind: 'poison', is: record => JSON.stringify(record).includes('poison') },
  refusing: { kind: 'status', status: 403 },
}

testSink('datadog', Object.keys(faults) as Fault[], async () => {
  const intake = await startPracticeIntake()
  let timeoutMs = 10_000
  return {
    open: name =>
      createDatadogSink({
        name,
        url: `${intake.url}/api/v2/logs`,
        apiKey: () => intake.apiKey,
        version: '0.1.0',
        timeoutMs,
        gzip: true,
        service: 'sallyport',
        hostname: 'gw-1',
        env: undefined,
        tags: {},
        maxEvents: 1000,
        maxBytes: 4_000_000,
      }),
    fail(fault) {
      if (fault === 'slow') timeoutMs = 250
      intake.fail(faults[fault])
    },
    mend: () => intake.fail(undefined),
    arrived: async () =>
      intake.logs.map(({ record }) => (record['sallyport'] as { event: { seq: number } }).event.seq),
    close: () => intake.close(),
  }
})
