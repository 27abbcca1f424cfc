/** Held calls and the listener's own time limits, which are all over long before the decision. */
import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { test } from 'node:test'
import { type FakeGateway, fakeGateway, goodToken } from './fake-gateway.ts'
import { testCertificate } from '../test-certificate.ts'
import { dialogue, requestText, stage } from './test-stage.ts'

const limits = { headersTimeout: 60, requestTimeout: 80, keepAliveTimeout: 80 }
const holdMs = 700

/** Asks, and grants after the hold. */
function patientGateway(): FakeGateway {
  const gateway = fakeGateway()
  gateway.demandsBody = true
  gateway.decide = () => ({ effect: 'ask', reason: 'approval-required' })
  gateway.approvals = {
    async settle(_session, exchange) {
      exchange.held?.({ id: 'ap_1', expiresAt: 0 })
      gateway.diary.push('held')
      await new Promise(resolve => {
        const timer = setTimeout(resolve, holdMs)
        exchange.signal.addEventListener('abort', () => {
          clearTimeout(timer)
          resolve(undefined)
        })
      })
      if (!exchange.signal.aborted) return { granted: true, facts: {} }
      gateway.diary.push('left')
      return { granted: false, denial: { reason: 'approval-abandoned' } }
    },
  }
  return gateway
}

test('a call is held beyond the time limits of the listener, and its connection can be used again', async t => {
  const { port, seen } = await stage(t, undefined, { gateway: patientGateway(), server: { limits } })
  const client = await dialogue(port)
  client.write(requestText('POST /a', ['Content-Length: 3'], 'abc'))
  assert.match(await client.until(/"body":"abc"}/), /^HTTP\/1\.1 200 /)
  client.write(requestText('POST /b', ['Content-Length: 3', 'Connection: close'], 'def'))
  assert.match(await client.closed, /"body":"def"}/)
  assert.deepEqual(
    seen.map(each => each.url),
    ['/a', '/b'],
  )
})

test('HTTP/2: a call is held beyond the time that an idle session is kept', async t => {
  const server = { limits, tls: testCertificate }
  const { port } = await stage(t, undefined, { gateway: patientGateway(), server })
  const session = connectHttp2(`https://localhost:${port}`, { ca: testCertificate.cert })
  t.after(() => session.destroy())
  const stream = session.request({
    ':path': '/a',
    ':method': 'POST',
    authorization: `Bearer ${goodToken}`,
  })
  stream.end('abc')
  let text = ''
  for await (const piece of stream.setEncoding('utf8')) text += String(piece)
  assert.match(text, /"body":"abc"}/)
})

test('a client that leaves ends the hold, and nothing is forwarded', async t => {
  const gateway = patientGateway()
  const { port, seen } = await stage(t, undefined, { gateway })
  const client = await dialogue(port)
  client.write(requestText('POST /a', ['Content-Length: 3'], 'abc'))
  while (!gateway.diary.includes('held')) await new Promise(resolve => setImmediate(resolve))
  client.socket.destroy()
  await gateway.until('action.denied')
  assert.ok(gateway.diary.includes('left'))
  assert.deepEqual(seen, [])
  assert.deepEqual(gateway.leases, { taken: 0, returned: 0 })
})
