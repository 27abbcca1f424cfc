import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startPracticeDatadog } from '../../practice/datadog/practice-datadog.ts'
import { retentionSection } from '../config/retention.ts'
import { sinksSection } from '../config/sinks.ts'
import { openDatadogApi } from './datadog/api.ts'
import { keptAtDatadog } from './datadog/kept-there.ts'
import { keptFindings } from './kept.ts'

interface Places {
  readonly retention?: object
  readonly setup?: object
}

function warnings(places: Places, there?: Parameters<typeof keptFindings>[1]): string[] {
  const config = {
    retention: retentionSection.parse(places.retention ?? {}),
    sinks: sinksSection.parse([
      { name: 'dd', type: 'datadog', api_key: '${env:KEY}', setup: places.setup ?? {} },
    ]),
  }
  return keptFindings(config, there)
    .filter(({ state }) => state === 'warn')
    .map(({ where, detail }) => `${where}: ${detail}`)
}

const pci = { requirements: ['pci-dss'] }
const archive = { type: 's3', bucket: 'audit', account_id: '123456789012', role_name: 'dd' }

test('nothing is asked for, and nothing is said', () => {
  assert.deepEqual(warnings({}), [])
})

test('fifteen days at Datadog are no three months at hand, and no year without an archive', () => {
  const found = warnings({ retention: pci })
  assert.equal(found.length, 2)
  assert.match(found[0]!, /^dd: pci-dss asks for 90 days at hand .*; the log here has them$/)
  assert.match(found[1]!, /^dd: pci-dss asks for 365 days, and there is no archive/)
  assert.deepEqual(warnings({ retention: pci, setup: { index: { flex_days: 90 }, archive } }), [])
  assert.equal(warnings({ retention: pci, setup: { index: { flex_days: 89 }, archive } }).length, 1)
})

test('what is kept here is compared as well, to the day', () => {
  const setup = { index: { flex_days: 365 } }
  assert.deepEqual(warnings({ retention: { ...pci, entries: { keep: '365d' } }, setup }), [])
  const short = warnings({ retention: { ...pci, entries: { keep: '364d' } }, setup })
  assert.deepEqual(
    short.map(each => each.slice(0, 24)),
    ['here: pci-dss asks for 3', 'dd: outlives the log by '],
  )
})

test('what Datadog says comes before the configuration, and a difference is told', async () => {
  const datadog = await startPracticeDatadog()
  const { apiKey, appKey } = datadog.keys
  const api = openDatadogApi({ url: datadog.url, apiKey: () => apiKey, appKey: () => appKey })
  try {
    const setup = { index: { name: 'main', flex_days: 90 }, archive }
    const said = await keptAtDatadog(api, 'main')
    assert.deepEqual(said, { archived: false, searchableDays: 15 })
    const found = warnings({ setup }, new Map([['dd', said]]))
    assert.equal(found.length, 2)
    assert.match(found[0]!, /the configuration has 90 days/)
    assert.match(found[1]!, /archive of the configuration is not there/)
    assert.deepEqual(await keptAtDatadog(api, 'nowhere'), { archived: false })
  } finally {
    await api.close()
    await datadog.close()
  }
})
