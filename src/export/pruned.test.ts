import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { systemClock } from '../clock.ts'
import { sinksSection } from '../config/sinks.ts'
import { createExport } from './export.ts'
import { ShippedLog, ShippedState } from './testing/shipped-log.ts'

test('P7: a sink that is new begins with the first entry that retention left, and a backfill before it is refused', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-export-'))
  const log = new ShippedLog()
  for (let i = 0; i < 5; i++) await log.grow(10)
  await log.prune(20)
  const shipping = createExport({
    log,
    audit: log,
    state: new ShippedState(),
    sinks: sinksSection.parse([{ name: 'archive', type: 'file', path: 'out.ndjson' }]),
    clock: systemClock,
    registry: new Registry(),
    version: '0.0.0',
    secret: () => ({ read: () => '' }),
    resolvePath: path => join(directory, path),
  })
  try {
    shipping.start()
    while (shipping.status()[0]!.cursor < log.size) await new Promise(resolve => setTimeout(resolve, 5))
    const lines = (await readFile(join(directory, 'out.ndjson'), 'utf8')).trim().split('\n')
    assert.equal(lines.length, 30)
    assert.match(lines[0]!, /"20"/)
    await assert.rejects(shipping.backfill('archive', { from: 0, to: 30 }), /below 20 were removed/)
  } finally {
    await shipping.stop(1000)
    await rm(directory, { recursive: true })
  }
})
