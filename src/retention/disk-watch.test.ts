import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { sampleAction, sampleSession } from '../audit/testing/samples.ts'
import { openAudit } from '../audit/log.ts'
import type { Entry } from '../audit/events.ts'
import { createLogger } from '../log.ts'
import { openMemoryStorage } from '../storage/memory/index.ts'
import { DiskWatch } from './disk-watch.ts'

async function watched(percent: number) {
  const disk = { percent }
  const storage = openMemoryStorage()
  const said: string[] = []
  const registry = new Registry()
  const watch = await DiskWatch.open({
    space: async () => ({ freeBytes: disk.percent * 10, totalBytes: 1000 }),
    marks: { warn_percent: 25, refuse_sessions_percent: 10, refuse_percent: 5, enough_bytes: 1e9 },
    logger: createLogger(line => void said.push(line)),
    registry,
    everyMs: 1e6,
  })
  const heartbeat = { growing: 1e6, idle: 1e6 }
  const origin = 'gateway.example.com/test'
  const audit = await openAudit({ store: storage.log, origin, heartbeat, admit: watch.refuseAction })
  await watch.tell(audit)
  return {
    watch,
    audit,
    said,
    registry,
    async free(now: number): Promise<string> {
      disk.percent = now
      await watch.look()
      return watch.state
    },
    async crossings(): Promise<unknown[]> {
      const entries = (await storage.log.read(0, 1000)).map(each => JSON.parse(each.toString()) as Entry)
      return entries
        .filter(each => each.kind === 'disk.crossed')
        .map(each => (each['disk'] as { state: string }).state)
    },
    async close(): Promise<void> {
      watch.close()
      await audit.close(0)
    },
  }
}

test('P1, P6: a disk that runs short warns, refuses sessions, refuses actions, and is over by itself', async () => {
  const { watch, audit, free, crossings, close, said, registry } = await watched(80)
  const begin = () => audit.begin(sampleSession('s_1'), sampleAction())
  assert.equal(watch.state, 'ok')
  await (await begin()).complete({
    success: true,
    facts: {},
    bytesIn: 0,
    bytesOut: 0,
    masked: { count: 0, kinds: [] },
  })
  assert.equal(await free(20), 'warn')
  assert.equal(watch.refuseSession(), undefined)
  assert.equal(await free(8), 'refuse-sessions')
  assert.equal(watch.refuseSession()?.code, 'recording-unavailable')
  assert.equal(watch.refuseAction(), undefined)
  const open = await begin()
  assert.equal(await free(3), 'refuse')
  await assert.rejects(begin(), { code: 'recording-unavailable' })
  // What was begun is ended all the same.
  await open.deny({ reason: 'rule-denied' })
  assert.match(await registry.metrics(), /sallyport_disk_state 3/)
  assert.match(await registry.metrics(), /sallyport_disk_free_ratio 0\.03/)
  assert.equal(await free(5.2), 'refuse', 'at the mark nothing flaps')
  assert.equal(await free(6), 'refuse-sessions')
  await (await begin()).deny({ reason: 'rule-denied' })
  assert.equal(await free(50), 'ok')
  assert.equal(watch.refuseSession(), undefined)
  assert.deepEqual(await crossings(), ['warn', 'refuse-sessions', 'refuse', 'refuse-sessions', 'ok'])
  assert.equal(said.filter(line => line.includes('"event":"disk"')).length, 5)
  await close()
})

test('a start on a full disk refuses from its first action on, and the log says why', async () => {
  const { audit, crossings, close } = await watched(4)
  await assert.rejects(audit.begin(sampleSession('s_1'), sampleAction()), { code: 'recording-unavailable' })
  assert.deepEqual(await crossings(), ['refuse'])
  await close()
})

test('on a large disk the marks do not count while there is enough', async () => {
  const free = { bytes: 50e9 }
  const watch = await DiskWatch.open({
    space: async () => ({ freeBytes: free.bytes, totalBytes: 2e12 }),
    marks: { warn_percent: 25, refuse_sessions_percent: 10, refuse_percent: 5, enough_bytes: 20e9 },
    logger: createLogger(() => undefined),
    registry: new Registry(),
    everyMs: 1e6,
  })
  assert.equal(watch.state, 'ok')
  free.bytes = 19e9
  await watch.look()
  assert.equal(watch.state, 'refuse')
  watch.close()
})
