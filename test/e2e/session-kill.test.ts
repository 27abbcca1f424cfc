/** A session that is ended by force takes what runs in it along. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Entry } from '../../src/audit/events.ts'
import { silentLogger } from '../../src/log.ts'
import { startGateway } from '../../src/main.ts'

test('P2, P10: a killed session is cut midway, upstream and client alike, and its entries say so', async () => {
  await using stack = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-kill-'))
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  let upstreamClosed = false
  const upstream = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => response.write('data: tick\n\n'), 20)
    response.on('close', () => {
      clearInterval(timer)
      upstreamClosed = true
    })
  })
  await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', () => resolve()))
  stack.defer(
    () =>
      new Promise<void>(resolve => {
        upstream.close(() => resolve())
        upstream.closeAllConnections()
      }),
  )
  const config = join(directory, 'sallyport.yaml')
  const { port } = upstream.address() as AddressInfo
  await writeFile(
    config,
    `data: ./data
listen: [{ address: '127.0.0.1:0' }]
connections: [{ name: ticks, protocol: http, url: 'http://127.0.0.1:${port}' }]
policy: { rules: [{ name: reads, effect: allow, risks: [read] }] }
`,
  )
  const gateway = await startGateway({ config, logger: silentLogger })
  stack.defer(() => gateway.close(500))
  const { tokens, sessions, storage } = gateway.services
  const { token } = await tokens.create({ name: 'x', subject: { id: 'x', kind: 'agent' }, createdBy: 'test' })
  const response = await fetch(`${gateway.urls[0]!}/c/ticks/stream`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const reader = response.body!.getReader()
  await reader.read()
  const [session] = sessions.list()
  await sessions.kill(session!, 'killed by test')
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  })
  const entries = async (): Promise<Entry[]> =>
    (await storage.log.read(0, 100)).map(bytes => JSON.parse(bytes.toString('utf8')) as Entry)
  let failed: Entry | undefined
  while (failed === undefined) {
    failed = (await entries()).find(each => each.kind === 'action.failed')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  assert.equal(failed.error?.code, 'client-gone')
  assert.equal((await entries()).find(each => each.kind === 'session.ended')?.['reason'], 'killed by test')
  while (!upstreamClosed) await new Promise(resolve => setTimeout(resolve, 10))
  assert.equal(sessions.list().length, 0)
})
