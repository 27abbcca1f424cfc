/** What comes before and after an answer proper: interim answers, and trailers. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { OutgoingHttpHeader, RequestListener } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { fakeGateway, literalMasker } from './fake-gateway.ts'
import { raw, requestText, stage } from './test-stage.ts'

const close = 'Connection: close'

type Trailers = readonly (readonly [string, string])[]

/** Answers in one piece, or in two of which the second waits for `first` to be taken. */
function answering(trailers: Trailers, how: 'whole' | 'streamed'): RequestListener {
  return (request, response) => {
    response.writeHead(200, { Trailer: trailers.map(([name]) => name) as unknown as OutgoingHttpHeader })
    response.addTrailers(trailers.map(([name, value]) => [name, value] as [string, string]))
    if (how === 'whole') return void response.end('body')
    response.write('bo')
    setImmediate(() => setImmediate(() => response.end('dy')))
    request.resume()
  }
}

/** The lines after the last chunk. */
function trailersOf(answer: string): string[] {
  const at = answer.indexOf('\r\n0\r\n')
  assert.ok(at > 0, answer)
  return answer
    .slice(at + 5)
    .split('\r\n')
    .filter(line => line !== '')
}

for (const how of ['whole', 'streamed'] as const) {
  test(`trailers of an answer pass, repeated ones in their order: ${how}`, async t => {
    const trailers: Trailers = [
      ['X-Sum', 'abc'],
      ['X-Sum', 'def'],
      ['Server-Timing', 'db;dur=53'],
    ]
    const { port, gateway } = await stage(t, answering(trailers, how))
    const answer = await raw(port, requestText('GET /', ['TE: trailers', close]))
    assert.deepEqual(trailersOf(answer), ['X-Sum: abc', 'X-Sum: def', 'Server-Timing: db;dur=53'])
    assert.match(answer, /\r\nTrailer: X-Sum, X-Sum, Server-Timing\r\n/i)
    const recorded = gateway.frames.map(({ bytes }) => bytes.toString()).at(-1)
    assert.deepEqual(JSON.parse(recorded!), { status: 'trailers', headers: trailers.flat() })
  })

  test(`P8: a trailer is masked as a header is, in what is sent and in what is recorded: ${how}`, async t => {
    const gateway = fakeGateway()
    gateway.maskers = () => literalMasker(['ana@example.com'])
    const { port } = await stage(t, answering([['X-For', 'of ana@example.com']], how), { gateway })
    const answer = await raw(port, requestText('GET /', [close]))
    assert.deepEqual(trailersOf(answer), ['X-For: of [masked]'])
    assert.doesNotMatch(Buffer.concat(gateway.frames.map(({ bytes }) => bytes)).toString(), /ana@/)
    assert.equal(gateway.entries.at(-1)?.result?.masked?.count, 1)
  })

  test(`what may not stand in a trailer is dropped: ${how}`, async t => {
    const forbidden: Trailers = [
      ['Set-Cookie', 'a=b'],
      ['Content-Type', 'text/html'],
      ['Cache-Control', 'public'],
      ['Location', 'https://elsewhere.example.com/'],
      ['WWW-Authenticate', 'Basic'],
      ['Access-Control-Allow-Origin', '*'],
      ['X-Kept', '1'],
    ]
    const { port } = await stage(t, answering(forbidden, how))
    const answer = await raw(port, requestText('GET /', [close]))
    assert.deepEqual(trailersOf(answer), ['X-Kept: 1'])
    assert.match(answer, /\r\nTrailer: X-Kept\r\n/i)
  })

  test(`HTTP/1.0 has no place for trailers: ${how}`, async t => {
    const { port } = await stage(t, answering([['X-Sum', 'abc']], how))
    const answer = await raw(port, requestText('GET /').replace('HTTP/1.1', 'HTTP/1.0'))
    assert.match(answer, /\r\n\r\nbody$/)
    assert.doesNotMatch(answer, /X-Sum/i)
  })
}

test('a digest of the body in a trailer goes where the body was altered', async t => {
  const gateway = fakeGateway()
  gateway.maskers = () => literalMasker(['body'])
  const trailers: Trailers = [
    ['Content-Digest', 'sha-256=:AAAA:'],
    ['X-Kept', '1'],
  ]
  const { port } = await stage(t, answering(trailers, 'whole'), { gateway })
  const answer = await raw(port, requestText('GET /', [close]))
  assert.deepEqual(trailersOf(answer), ['X-Kept: 1'])
})

test('that a client takes trailers is told upstream, and no other transfer coding of its own', async t => {
  const { port, seen } = await stage(t, undefined)
  await raw(port, requestText('GET /', ['TE: gzip;q=0.5, trailers', close]))
  await raw(port, requestText('GET /', ['TE: gzip', close]))
  const told = seen.map(({ rawHeaders }) =>
    rawHeaders.filter((_, i) => /^te$/i.test(rawHeaders[i - 1] ?? '')),
  )
  assert.deepEqual(told, [['trailers'], []])
})

test('trailers of a request end here, and its body arrives', async t => {
  const { port, seen } = await stage(t, undefined)
  const body = '4\r\nbody\r\n0\r\nX-Role: admin\r\nX-Sum: abc\r\n\r\n'
  const answer = await raw(port, requestText('POST /', ['Transfer-Encoding: chunked', close], body))
  assert.match(answer, /^HTTP\/1\.1 200/)
  assert.equal(seen[0]?.body, 'body')
  assert.doesNotMatch(seen[0]?.rawHeaders.join(' ') ?? '', /x-role|x-sum/i)
})

test('interim answers end here, and the final one comes', async t => {
  const interim = ['102 Processing\r\n', '103 Early Hints\r\nLink: </secret>; rel=preload\r\n']
  const upstream = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => {
      for (const each of [...interim, ...interim]) socket.write(`HTTP/1.1 ${each}\r\n`)
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.after(() => upstream.close())
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const { port, gateway } = await stage(t, undefined, { url })
  const answer = await raw(port, requestText('GET /', [close]))
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/)
  assert.doesNotMatch(answer, /secret|HTTP\/1\.1 10/)
  assert.equal(gateway.entries.at(-1)?.kind, 'action.completed')
})
