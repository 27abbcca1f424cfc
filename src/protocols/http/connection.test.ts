import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../errors.ts'
import { fakeGateway, goodToken } from './fake-gateway.ts'
import { raw, requestText, stage } from './test-stage.ts'

const close = 'Connection: close'

test('P1: the intent is there before the upstream sees anything, the end before the client has its last byte', async t => {
  const { port, gateway } = await stage(t, undefined)
  gateway.beforeEnd = async () => {
    gateway.diary.push('ending')
  }
  const answer = await raw(port, requestText('GET /things', [close]))
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
  assert.deepEqual(gateway.diary, ['action.intended', 'upstream.request', 'ending', 'action.completed'])
  assert.equal(gateway.entries[1]?.result?.facts?.['http'] && true, true)
  assert.deepEqual(gateway.leases, { taken: 1, returned: 1 })
})

test('P2: the last byte waits for the terminal entry', async t => {
  const { port, gateway } = await stage(t, undefined)
  let release = (): void => {}
  const blocked = new Promise<void>(resolve => (release = resolve))
  let reached = (): void => {}
  const sealing = new Promise<void>(resolve => (reached = resolve))
  gateway.beforeEnd = () => {
    reached()
    return blocked
  }
  let done = false
  const answer = raw(port, requestText('GET /things', [close])).then(text => {
    done = true
    return text
  })
  await sealing
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(done, false)
  release()
  assert.match(await answer, /"url":"\/things"/)
})

test('P4: the client’s credentials end here, and the upstream gets the gateway’s', async t => {
  const { port, seen, gateway } = await stage(t, undefined)
  const answer = await raw(
    port,
    requestText('GET /a?x=1&access_token=mine&y=2', [
      'X-Api-Key: mine',
      'Cookie: session=mine',
      'DD-API-KEY: mine',
      'Proxy-Authorization: Basic mine',
      'X-Kept: yes',
      `X-Copy: ${goodToken}`,
      close,
    ]),
  )
  assert.match(answer, /200 OK/)
  const sent = JSON.stringify(seen)
  assert.doesNotMatch(sent, /mine/)
  assert.ok(!sent.includes(goodToken))
  assert.match(sent, /"Authorization","Bearer upstream-secret-value"/)
  assert.match(sent, /"X-Kept","yes"/)
  assert.equal(seen[0]?.url, '/a?x=1&y=2')
  const kept = Buffer.concat(gateway.frames.map(frame => frame.bytes)).toString()
  assert.ok(!kept.includes('mine') && !kept.includes(goodToken) && !kept.includes('upstream-secret-value'))
})

test('P4: a lease’s secret that the upstream echoes does not come down', async t => {
  const { port, gateway } = await stage(t, (request, response) => {
    response.setHeader('X-Echo', request.headers.authorization!)
    response.end(`you sent ${request.headers.authorization}`)
  })
  const answer = await raw(port, requestText('GET /', [close]))
  assert.ok(!answer.includes('upstream-secret-value'))
  assert.match(answer, /you sent Bearer \[masked\]/)
  assert.deepEqual(gateway.entries.at(-1)?.result?.masked, { count: 2, kinds: ['literal'] })
})

test('P11: a denial is a problem document that names rule and entry, and the connection stays usable', async t => {
  const { port, seen, gateway } = await stage(t, undefined)
  gateway.decide = action => (action.operation === 'GET /no' ? { effect: 'deny', reason: 'rule-denied' } : {})
  const answer = await raw(port, requestText('GET /no') + requestText('GET /yes', [close]))
  const [head, first] = answer.split('\r\n\r\n')
  assert.match(head!, /^HTTP\/1\.1 403 Forbidden[^]*application\/problem\+json/)
  const problem = JSON.parse(first!.split('\n')[0]!) as Record<string, unknown>
  assert.equal(problem['code'], 'denied')
  assert.equal(problem['rule'], 'r1')
  assert.equal(problem['status'], 403)
  assert.match(String(problem['instance']), /^log\.example\.com\/\d+$/)
  assert.match(answer, /HTTP\/1\.1 200 OK/)
  assert.deepEqual(
    seen.map(each => each.url),
    ['/yes'],
  )
})

test('a request with a bad or no credential: 401, an entry with the reason, nothing of it in the answer', async t => {
  const { port, seen, gateway } = await stage(t, undefined)
  const wrong = await raw(port, requestText('GET /', ['Authorization: Bearer wrong', close]))
  assert.match(wrong, /^HTTP\/1\.1 401 /)
  assert.match(wrong, /WWW-Authenticate: Bearer realm="sallyport", error="invalid_token"/)
  assert.doesNotMatch(wrong, /token-unknown/)
  const none = await raw(port, `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n\r\n`)
  assert.match(none, /WWW-Authenticate: Bearer realm="sallyport"\r\n/)
  assert.deepEqual(
    gateway.entries.map(entry => [entry.kind, entry.attributes?.['reason']]),
    [
      ['identity.refused', 'token-unknown'],
      ['identity.refused', 'credential-missing'],
    ],
  )
  assert.equal(seen.length, 0)
})

test('P6: an intent that cannot be written refuses the request, and nothing goes upstream', async t => {
  const { port, seen, gateway } = await stage(t, undefined)
  gateway.failBegin = new GatewayError('recording-unavailable')
  const answer = await raw(port, requestText('GET /', [close]))
  assert.match(answer, /^HTTP\/1\.1 503 [^]*recording-unavailable/)
  assert.equal(seen.length, 0)
})

test('bodies pass byte for byte: chunked and with a length, DELETE with a body, integers beyond 2^53', async t => {
  const { port, seen } = await stage(t, undefined)
  const body = '{"id": 12345678901234567890, "id2":1.0}'
  const length = `Content-Length: ${body.length}`
  await raw(port, requestText('POST /p', [length, 'Content-Type: text/json', close], body))
  await raw(port, requestText('DELETE /d', [length, close], body))
  const chunked = `5\r\n${body.slice(0, 5)}\r\n${(body.length - 5).toString(16)}\r\n${body.slice(5)}\r\n0\r\n\r\n`
  await raw(port, requestText('PUT /c', ['Transfer-Encoding: chunked', close], chunked))
  assert.deepEqual(
    seen.map(each => [each.method, each.body]),
    [
      ['POST', body],
      ['DELETE', body],
      ['PUT', body],
    ],
  )
})

test('P12: a thousand requests over one kept connection, and pipelined ones in order', async t => {
  const { port, seen } = await stage(t, undefined)
  const many = Array.from({ length: 1000 }, (_, i) => requestText(`GET /n/${i}`)).join('')
  const answer = await raw(port, many + requestText('GET /last', [close]))
  const urls = [...answer.matchAll(/"url":"([^"]+)"/g)].map(match => match[1])
  assert.deepEqual(urls, [...Array.from({ length: 1000 }, (_, i) => `/n/${i}`), '/last'])
  assert.equal(seen.length, 1001)
})

test('a call that needs a person is held as long as its client endures, then told how to come again', async t => {
  const gateway = fakeGateway()
  const held: number[] = []
  gateway.decide = () => ({ effect: 'ask', reason: 'approval-required' })
  gateway.approvals = {
    async settle(_session, exchange) {
      held.push(exchange.patience?.holdMs ?? 0)
      const approval = { id: 'ap_1', state: 'pending', expiresAt: 0, retryAfterMs: 4500 }
      const then = held.length === 1 ? 'resubmit' : 'retry-later'
      return { granted: false, denial: { reason: 'approval-pending', approval: { ...approval, then } } }
    },
  }
  const { port, seen } = await stage(t, undefined, { gateway })
  const first = await raw(port, requestText('POST /x', ['Content-Length: 0', close]))
  assert.match(first, /^HTTP\/1\.1 403 [^]*Retry-After: 5\r\n/)
  const problem = JSON.parse(first.split('\r\n\r\n')[1]!) as Record<string, unknown>
  assert.equal(problem['code'], 'approval-pending')
  assert.deepEqual(problem['approval'], {
    id: 'ap_1',
    state: 'pending',
    expires: '1970-01-01T00:00:00.000Z',
    url: 'http://gw.example.com/.sallyport/approvals/ap_1',
    how: 'Send the same request again.',
  })
  const second = await raw(port, requestText('GET /x', ['Prefer: respond-async, wait=7', close]))
  assert.match(second, /^HTTP\/1\.1 429 [^]*Retry-After: 5\r\nX-RateLimit-Reset: 5\r\n/)
  await raw(port, requestText('GET /x', ['Prefer: wait=86400', close]))
  assert.deepEqual(held, [25_000, 7000, 600_000])
  assert.equal(seen.length, 0)
})

test('a flood of refused credentials is counted, not written one by one', async t => {
  const { port, gateway, open } = await stage(t, undefined)
  const one = requestText('GET /', ['Authorization: Bearer wrong'])
  await raw(port, one.repeat(50) + requestText('GET /', ['Authorization: Bearer wrong', close]))
  assert.equal(gateway.entries.length, 20)
  await open.close(0)
  assert.equal(gateway.entries.length, 21)
  assert.equal(gateway.entries.at(-1)?.attributes?.['suppressed'], 31)
})
