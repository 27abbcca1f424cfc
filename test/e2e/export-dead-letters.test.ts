/** Ten thousand dead letters by the command line: every one is listed, in order, and found after a restart. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { DeadLetters } from '../../src/export/dead-letters.ts'
import { runCli } from '../support/cli.ts'
import { openGateway } from '../support/gateway.ts'
import { createWorld } from '../support/world.ts'

const count = 10_000

test('P7: ten thousand dead letters are all listed, in the order of the log, also after a restart', async () => {
  await using world = await createWorld()
  await world.configure({
    sinks: [{ name: 'archive', type: 'file', path: join(world.directory, 'a.ndjson') }],
  })
  {
    await using gateway = await openGateway(world)
    const { state } = gateway.running.services.storage
    const letters = new DeadLetters(state)
    const origin = 'gateway.example.com/test'
    for (let index = 0; index < count; index++) {
      await letters.put({
        sink: 'archive',
        origin,
        index,
        id: `${origin}/${index}`,
        leaf_hash: '0'.repeat(64),
        kind: 'heartbeat',
        reason: 'rejected',
        at: '2026-11-21T07:00:00.000Z',
      })
    }
  }
  await using gateway = await openGateway(world)
  assert.ok(gateway.url)
  const { stdout } = await runCli(['export', 'dead-letters', 'archive'], { cwd: world.directory })
  const listed = stdout
    .trim()
    .split('\n')
    .map(line => (JSON.parse(line) as { index: number }).index)
  assert.deepEqual(
    listed,
    Array.from({ length: count }, (_, i) => i),
  )
})
