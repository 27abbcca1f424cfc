/** TLS on both sides, and HTTP/2 toward clients. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2, type ClientHttp2Session, constants } from 'node:http2'
import { createServer as createHttpsServer, request as httpsRequest } from 'node:https'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import { type TestContext, test } from 'node:test'
import { fakeGateway, goodToken, literalMasker } from './fake-gateway.ts'
import { httpProtocol, httpSettings } from './index.ts'
import { testCertificate } from '../test-certificate.ts'
import { listen, raw, requestText, stage, type StageOptions } from './test-stage.ts'

const auth = { authorization: `Bearer ${goodToken}` }

async function http2Stage(t: TestContext, upstream: RequestListener | undefined, options: StageOptions = {}) {
  const staged = await stage(t, upstream, { ...options, server: { tls: testCertificate, ...options.server } })
  const session = connectHttp2(`https://localhost:${staged.port}`, { ca: testCertificate.cert })
  session.on('error', () => {})
  t.after(() => session.destroy())
  return { ...staged, session }
}

/** Sends and gathers; `code` is the reset code of the stream. */
async function ask(session: ClientHttp2Session, headers: Record<string, string | string[]>, body?: string) {
  const stream = session.request({ ...auth, ...headers }, { endStream: body === undefined })
  let status = 0
  let fields: Record<string, unknown> = {}
  let trailers: Record<string, unknown> = {}
  let text = ''
  stream.on('response', got => {
    status = got[':status'] ?? 0
    fields = got
  })
  stream.on('trailers', got => (trailers = got))
  stream.on('error', () => {})
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  if (body !== undefined) stream.end(body)
  if (!stream.closed) await new Promise(resolve => stream.once('close', resolve))
  return { status, fields, text, trailers, code: stream.rstCode }
}

test('HTTP/2: requests, bodies, denials and repeated headers', async t => {
  const { session, seen, gateway } = await http2Stage(t, undefined)
  const got = await ask(session, { ':path': '/a?x=1', 'x-a': ['1', '2'] })
  assert.equal(got.status, 200)
  assert.match(got.text, /"url":"\/a\?x=1"/)
  const posted = await ask(session, { ':path': '/p', ':method': 'POST' }, 'hello')
  assert.equal(posted.status, 200)
  assert.equal(seen[1]?.body, 'hello')
  assert.equal(seen[0]?.rawHeaders.filter(each => each.startsWith(':')).length, 0)
  gateway.decide = () => ({ effect: 'deny', reason: 'rule-denied' })
  const denied = await ask(session, { ':path': '/no', ':method': 'POST' }, 'x'.repeat(1_000_000))
  assert.equal(denied.status, 403)
  gateway.decide = () => ({})
  assert.equal((await ask(session, { ':path': '/again' })).status, 200)
})

test('HTTP/2: an upstream that dies midway resets the stream, and only it', async t => {
  const gateway = fakeGateway()
  gateway.maskers = () => literalMasker([])
  const { session } = await http2Stage(
    t,
    (request, response) => {
      if (request.url === '/fine') return void response.end('fine')
      response.writeHead(200)
      response.write('half', () => request.socket.destroy())
    },
    { gateway },
  )
  const cut = await ask(session, { ':path': '/cut' })
  assert.equal(cut.code, constants.NGHTTP2_INTERNAL_ERROR)
  assert.equal(gateway.entries.at(-1)?.kind, 'action.failed')
  assert.equal((await ask(session, { ':path': '/fine' })).text, 'fine')
})

test('HTTP/2: a client that resets its stream cancels the upstream call', async t => {
  const gateway = fakeGateway()
  let arrived = (): void => {}
  const arrival = new Promise<void>(resolve => (arrived = resolve))
  const { session } = await http2Stage(t, () => arrived(), { gateway })
  const stream = session.request({ ...auth, ':path': '/' })
  stream.on('error', () => {})
  await arrival
  stream.close(constants.NGHTTP2_CANCEL)
  assert.equal((await gateway.until('action.failed')).error?.code, 'client-gone')
})

test('HTTP/2: trailers pass', async t => {
  const { session } = await http2Stage(t, (_request, response) => {
    response.writeHead(200, { Trailer: 'X-Sum' })
    response.write('a')
    response.addTrailers({ 'X-Sum': 'abc' })
    response.end('b')
  })
  const got = await ask(session, { ':path': '/' })
  assert.equal(got.text, 'ab')
  assert.equal(got.trailers['x-sum'], 'abc')
})

test('HTTP/2: another Host than the authority, bad paths and other methods are refused', async t => {
  const { session, seen } = await http2Stage(t, undefined)
  assert.equal(
    (await ask(session, { ':path': '/', ':authority': 'gw.example.com', host: 'other.example.com' })).status,
    400,
  )
  assert.equal((await ask(session, { ':path': '/a\\b' })).status, 400)
  assert.equal((await ask(session, { ':path': '/..' })).status, 400)
  assert.equal((await ask(session, { ':path': '*', ':method': 'OPTIONS' })).status, 400)
  assert.equal((await ask(session, { ':path': '/', ':method': 'TRACE' })).status, 405)
  assert.equal((await ask(session, { ':path': `/${'a'.repeat(17_000)}` })).status, 414)
  assert.equal(seen.length, 0)
})

test('HTTP/2: a connection that resets streams in a flood is closed', async t => {
  const limits = { resets: 20 }
  const { session, server, seen } = await http2Stage(t, () => {}, {
    server: { tls: testCertificate, limits },
  })
  await ask(session, { ':path': '/..' }) // refused, but from here on the session is there on both sides
  let cut = false
  const [first] = server.sessions
  assert.ok(first)
  const closed = new Promise<void>(resolve => {
    first.on('close', () => {
      cut = true
      resolve()
    })
  })
  for (let i = 0; i < 400 && !cut; i++) {
    const stream = session.request({ ...auth, ':path': '/' })
    stream.on('error', () => {})
    stream.close(constants.NGHTTP2_CANCEL)
    await new Promise(resolve => setImmediate(resolve))
  }
  await closed
  assert.ok(seen.length < 100)
})

test('HTTP/1.1 on a TLS listener', async t => {
  const { port } = await stage(t, undefined, { server: { tls: testCertificate } })
  const request = httpsRequest({
    port,
    host: 'localhost',
    ca: testCertificate.cert,
    headers: auth,
    agent: false,
  })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  assert.equal(response.statusCode, 200)
  assert.equal(response.httpVersion, '1.1')
  response.resume()
  await once(response, 'end')
})

test('HTTP/1.1 on TLS: an upstream that dies midway cuts the answer', async t => {
  const { port, gateway } = await stage(
    t,
    (request, response) => {
      response.writeHead(200)
      response.write('half', () => request.socket.destroy())
    },
    { server: { tls: testCertificate } },
  )
  const request = httpsRequest({
    port,
    host: 'localhost',
    ca: testCertificate.cert,
    headers: auth,
    agent: false,
  })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  await assert.rejects(once(response, 'end'))
  assert.equal(response.complete, false)
  assert.equal((await gateway.until('action.failed')).error?.code, 'upstream-invalid')
})

test('upstream TLS is verified: its own CA, a client certificate, and a stranger is refused', async t => {
  let authorized = false
  const upstream = createHttpsServer(
    { ...testCertificate, ca: testCertificate.cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      authorized = (request.socket as never as { authorized: boolean }).authorized
      response.end('over tls')
    },
  )
  const port = await listen(upstream as unknown as Server)
  t.after(() => {
    upstream.closeAllConnections()
    upstream.close()
  })
  const url = `https://localhost:${port}`
  const stranger = await stage(t, undefined, { url })
  assert.match(
    await raw(stranger.port, requestText('GET /', ['Connection: close'])),
    /^HTTP\/1\.1 502 [^]*TLS failed/,
  )
  assert.equal(stranger.gateway.entries.at(-1)?.kind, 'action.not_forwarded')
  assert.equal((await stranger.open.check()).ok, false)
  const tls = { ca: testCertificate.cert, client: { certificate: 'cert', key: 'key' } }
  const gateway = fakeGateway()
  gateway.secrets = { api_token: 'upstream-secret-value', ...testCertificate }
  const friend = await stage(t, undefined, { url, settings: { tls }, gateway })
  assert.match(await raw(friend.port, requestText('GET /', ['Connection: close'])), /over tls/)
  assert.equal(authorized, true)
  assert.equal((await friend.open.check()).ok, true)
})

test('settings: a bad route or address is a mistake of the configuration', () => {
  assert.equal(httpSettings.safeParse({ url: 'https://u:p@api.example.com' }).success, false)
  assert.equal(httpSettings.safeParse({ url: 'ftp://api.example.com' }).success, false)
  assert.equal(httpSettings.safeParse({ url: 'https://a', routes: [{ match: '/x' }] }).success, false)
  assert.equal(httpProtocol.name, 'http')
})
