/** Witnesses that are required, and a gateway that has to do without for a while. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { serveWitness, type ServeWitnessOptions } from '../../src/witness/serve-witness.ts'
import { openGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'
import { createWorld } from '../support/world.ts'
import { readFile } from 'node:fs/promises'

test('P6: with `required` witnesses that are away nothing is forwarded; with them again, it is', async t => {
  const world = await createWorld()
  t.after(() => world.close())
  let forwarded = 0
  const upstream = await startUpstream((request, response) => {
    forwarded++
    request.resume()
    response.end('done')
  })
  t.after(() => upstream.close())
  await world.configure({
    connections: [{ name: 'things', protocol: 'http', url: upstream.url }],
    policy: { rules: [{ name: 'all', effect: 'allow' }] },
  })
  await (await openGateway(world)).close()
  const vkey = (await readFile(join(world.data, 'log', 'log.vkey'), 'utf8')).trim()
  const options: ServeWitnessOptions = {
    name: 'witness.example.com',
    logs: [vkey],
    directory: join(world.directory, 'witness'),
    host: '127.0.0.1',
    port: 0,
  }
  const first = await serveWitness(options)
  await first.close()
  await world.configure({
    audit: {
      mode: 'required',
      witnesses: [{ name: 'auditor', url: first.url, vkey: first.vkey }],
      checkpoint: { every: 1 },
      witness_every: 1,
      witness_timeout: 1,
      patience: 2,
    },
  })
  await using gateway = await openGateway(world)
  const headers = { authorization: `Bearer ${await world.token('batch-agent')}` }
  const ask = () => fetch(`${gateway.url}/c/things/1`, { headers })
  const refused = await ask()
  const problem = (await refused.json()) as { code: string; detail: string }
  assert.deepEqual([refused.status, problem.code], [503, 'recording-unavailable'])
  assert.match(problem.detail, /has not been cosigned by 1 of its witnesses/)
  assert.equal(forwarded, 0)
  await gateway.waitForEntries(1, ({ kind }) => kind === 'checkpoint.unwitnessed')
  assert.ok(gateway.said.some(line => line.includes('too few witnesses cosign the log')))

  const port = Number(new URL(first.url).port)
  const back = await serveWitness({ ...options, port })
  await until('the quorum is back', async () => {
    const { status, body } = await ask()
    await body?.cancel()
    return status === 200
  })
  assert.ok(forwarded > 0)
  await gateway.waitForEntries(1, ({ kind }) => kind === 'checkpoint.witnessed')
  await back.close()
  // A witness that lost its memory and its key is another one: its word does not count.
  await rm(options.directory, { recursive: true })
  const other = await serveWitness({ ...options, port })
  t.after(() => other.close())
  await until('its cosignature is not taken', async () => {
    const { status, body } = await ask()
    await body?.cancel()
    return status === 503
  })
})
