import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { fakeGateway, literalMasker } from './fake-gateway.ts'
import { dialogue, raw, requestText, stage } from './test-stage.ts'

const close = 'Connection: close'

/** No masks at all: bytes pass as they are. */
function unmasked(): ReturnType<typeof fakeGateway> {
  const gateway = fakeGateway()
  gateway.maskers = () => literalMasker([])
  return gateway
}

test('server-sent events reach the client one by one, before the answer ends', async t => {
  let next = (): void => {}
  const { port, gateway } = await stage(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: one\n\n')
    next = () => response.end('data: two\n\n')
  })
  const client = await dialogue(port)
  client.write(requestText('GET /events', [close]))
  await client.until(/data: one\n\n/)
  assert.ok(!gateway.diary.includes('action.completed'))
  next()
  const all = await client.closed
  assert.match(all, /data: two\n\n\r\n0\r\n\r\n$/)
  assert.ok(gateway.diary.includes('action.completed'))
})

test('P2: of a streamed answer with a length, the last bytes wait for the terminal entry', async t => {
  const gateway = unmasked()
  let rest = (): void => {}
  const { port } = await stage(
    t,
    (_request, response) => {
      response.writeHead(200, { 'content-length': '10' })
      response.write('01234')
      rest = () => response.end('56789')
    },
    { gateway },
  )
  let release = (): void => {}
  const sealing = new Promise<void>(reached => {
    gateway.beforeEnd = () => {
      reached()
      return new Promise(resolve => (release = resolve))
    }
  })
  const client = await dialogue(port)
  client.write(requestText('GET /', [close]))
  await client.until(/01234/)
  rest()
  await sealing
  client.socket.removeAllListeners('data')
  let late = ''
  client.socket.on('data', (chunk: string) => (late += chunk))
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(late, '')
  release()
  await client.closed
  assert.equal(late, '56789')
})

test('an upstream that dies midway cuts the answer, and the entry says failed', async t => {
  const gateway = unmasked()
  for (const head of [{}, { 'content-length': '100' }]) {
    let die = (): void => {}
    const { port } = await stage(
      t,
      (request, response) => {
        response.writeHead(200, head)
        response.write('half')
        die = () => request.socket.destroy()
      },
      { gateway },
    )
    const client = await dialogue(port)
    client.write(requestText('GET /', []))
    await client.until(/half/)
    die()
    const all = await client.closed
    assert.doesNotMatch(all, /\r\n0\r\n\r\n/)
    const last = gateway.entries.at(-1)
    assert.equal(last?.kind, 'action.failed')
    assert.equal(last?.error?.code, 'upstream-invalid')
    assert.deepEqual(last?.result?.facts, { http: { status_code: 200 } })
  }
})

test('an upstream that answers nothing: 502 and failed; that is not there: 502 and not forwarded', async t => {
  const { port, gateway } = await stage(t, request => request.socket.destroy())
  assert.match(await raw(port, requestText('POST /', ['Content-Length: 0', close])), /^HTTP\/1\.1 502 /)
  assert.equal(gateway.entries.at(-1)?.kind, 'action.failed')
  const gone = await stage(t, undefined, { url: 'http://127.0.0.1:1' })
  const answer = await raw(gone.port, requestText('GET /', [close]))
  assert.match(answer, /^HTTP\/1\.1 502 [^]*upstream-unreachable/)
  assert.equal(gone.gateway.entries.at(-1)?.kind, 'action.not_forwarded')
})

test('an upstream that is silent: 504', async t => {
  const { port } = await stage(t, () => {}, { settings: { timeouts: { headers: '50ms' } } })
  assert.match(await raw(port, requestText('GET /', [close])), /^HTTP\/1\.1 504 /)
})

test('a client that goes away cancels the upstream call and is recorded', async t => {
  const gateway = unmasked()
  const { port } = await stage(
    t,
    (request, response) => {
      gateway.diary.push('arrived')
      request.socket.on('close', () => gateway.diary.push('upstream.cut'))
      response.writeHead(200)
      response.write('first')
    },
    { gateway },
  )
  const client = await dialogue(port)
  client.write(requestText('GET /'))
  await client.until(/first/)
  client.socket.destroy()
  const failed = await gateway.until('action.failed')
  assert.equal(failed.error?.code, 'client-gone')
  while (!gateway.diary.includes('upstream.cut')) await new Promise(resolve => setImmediate(resolve))
})

test('a client that goes away before the answer’s head, too', async t => {
  const gateway = fakeGateway()
  let arrived = (): void => {}
  const arrival = new Promise<void>(resolve => (arrived = resolve))
  const { port } = await stage(t, () => arrived(), { gateway })
  const client = await dialogue(port)
  client.write(requestText('GET /'))
  await arrival
  client.socket.destroy()
  assert.equal((await gateway.until('action.failed')).error?.code, 'client-gone')
})

test('a client that leaves in the middle of its body: upstream never sees a whole request', async t => {
  const gateway = unmasked()
  let whole = false
  const { port } = await stage(
    t,
    request => {
      request.on('error', () => {})
      request.on('data', () => gateway.diary.push('upstream.data'))
      request.on('end', () => (whole = true))
    },
    { gateway },
  )
  const client = await dialogue(port)
  client.write(requestText('POST /', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n'))
  while (!gateway.diary.includes('upstream.data')) await new Promise(resolve => setImmediate(resolve))
  client.socket.destroy()
  assert.equal((await gateway.until('action.failed')).error?.code, 'client-gone')
  assert.equal(whole, false)
})

test('P12: a slow client pauses the upstream', async t => {
  const gateway = unmasked()
  let written = 0
  const total = 256 * 1024 * 1024
  const piece = Buffer.alloc(64 * 1024, 'x')
  let stalled = (): void => {}
  const stall = new Promise<void>(resolve => (stalled = resolve))
  const { port } = await stage(
    t,
    (_request, response) => {
      const more = (): void => {
        while (written < total) {
          written += piece.length
          if (!response.write(piece)) {
            // Two turns without a drain and it counts as paused; loopback buffers hold a few MiB.
            const timer = setTimeout(stalled, 300)
            response.once('drain', () => {
              clearTimeout(timer)
              more()
            })
            return
          }
        }
      }
      more()
    },
    { gateway },
  )
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.pause()
  socket.write(requestText('GET /'))
  await stall
  assert.ok(written < 64 * 1024 * 1024, `${written} bytes were taken from the upstream`)
  socket.destroy()
  await gateway.until('action.failed')
})

test('P12: a slow upstream pauses the client', async t => {
  const gateway = unmasked()
  let resume = (): void => {}
  const slow = (request: IncomingMessage): void => {
    request.on('error', () => {})
    resume = () => void request.resume()
  }
  const { port } = await stage(t, slow, { gateway })
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => {})
  const piece = Buffer.alloc(64 * 1024, 'x')
  let sent = 0
  socket.write(requestText('POST /', [`Content-Length: ${1024 ** 3}`]))
  await new Promise<void>(resolve => {
    const more = (): void => {
      while (socket.write(piece)) sent += piece.length
      sent += piece.length
      const timer = setTimeout(resolve, 300)
      socket.once('drain', () => {
        clearTimeout(timer)
        more()
      })
    }
    more()
  })
  assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken from the client`)
  // While nothing is read from a client, its leaving can't be seen; it shows as soon as the upstream takes more.
  socket.destroy()
  resume()
  await gateway.until('action.failed')
})

test('HEAD, 204 and 304 have no body and keep their heads', async t => {
  const gateway = unmasked()
  const { port } = await stage(
    t,
    (request, response) => {
      if (request.url === '/204') response.writeHead(204, { 'X-A': '1' }).end()
      else if (request.url === '/304') response.writeHead(304, { ETag: '"e"' }).end()
      else response.writeHead(200, { 'Content-Length': '42', ETag: '"e"' }).end()
    },
    { gateway },
  )
  const got = async (line: string): Promise<string> => await raw(port, requestText(line, [close]))
  assert.match(
    await got('GET /204'),
    /^HTTP\/1\.1 204 No Content\r\nX-A: 1\r\n(?!.*(?:content-length|transfer-enc))/is,
  )
  assert.match(await got('GET /304'), /^HTTP\/1\.1 304 Not Modified\r\nETag: "e"\r\n/)
  const head = await got('HEAD /')
  assert.match(head, /Content-Length: 42\r\n/)
  assert.ok(head.endsWith('\r\n\r\n'))
})

test('repeated headers and their order survive, hop-by-hop ones and cookies do not', async t => {
  const { port, seen } = await stage(t, undefined)
  await raw(
    port,
    requestText('GET /', [
      'X-B: 1',
      'x-a: 2',
      'X-B: 3',
      'Connection: x-gone, close',
      'X-Gone: 1',
      'TE: trailers',
    ]),
  )
  assert.deepEqual(seen[0]?.rawHeaders.slice(4, 10), ['X-B', '1', 'x-a', '2', 'X-B', '3'])
  assert.doesNotMatch(JSON.stringify(seen), /gone/i)
  const down = await stage(t, (_request, response) => {
    response.writeHead(200, [
      'B',
      '1',
      'A',
      '2',
      'B',
      '3',
      'Set-Cookie',
      's=1',
      'Alt-Svc',
      'h3=":443"',
      'Keep-Alive',
      'timeout=9',
    ])
    response.end('x')
  })
  const answer = await raw(down.port, requestText('GET /', [close]))
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\nB: 1\r\nA: 2\r\nB: 3\r\n/)
  assert.doesNotMatch(answer, /cookie|alt-svc|timeout=9/i)
})

test('Expect: 100-continue is answered once the body is wanted, and a denial comes without it', async t => {
  const { port, seen, gateway } = await stage(t, undefined)
  const client = await dialogue(port)
  client.write(requestText('POST /', ['Expect: 100-continue', 'Content-Length: 5', close]))
  await client.until(/HTTP\/1\.1 100 Continue\r\n\r\n/)
  client.write('hello')
  assert.match(await client.closed, /HTTP\/1\.1 200 OK/)
  assert.equal(seen[0]?.body, 'hello')
  gateway.decide = () => ({ effect: 'deny', reason: 'rule-denied' })
  const refused = await raw(port, requestText('POST /', ['Expect: 100-continue', 'Content-Length: 5']))
  assert.match(refused, /^HTTP\/1\.1 403 [^]*Connection: close/)
  assert.match(
    await raw(port, requestText('POST /', ['Expect: magic', 'Content-Length: 5'])),
    /^HTTP\/1\.1 417 /,
  )
})

test('an altered body loses what no longer holds: length, digests; an ETag becomes weak', async t => {
  const gateway = fakeGateway()
  gateway.maskers = () => literalMasker(['secret'])
  const { port } = await stage(
    t,
    (_request, response) => {
      response.writeHead(200, {
        ETag: '"e"',
        'Content-MD5': 'x',
        'Accept-Ranges': 'bytes',
        'Content-Length': '12',
      })
      response.end('a secret !!!')
    },
    { gateway },
  )
  const answer = await raw(port, requestText('GET /', [close, 'Range: bytes=0-3']))
  assert.match(answer, /ETag: W\/"e"\r\n/)
  assert.match(answer, /Content-Length: 14\r\n/)
  assert.doesNotMatch(answer, /md5|accept-ranges/i)
  assert.ok(answer.endsWith('a [masked] !!!'))
})

test('P8: ranges are not asked for where a mask applies, and a partial answer is withheld', async t => {
  const gateway = fakeGateway()
  gateway.maskers = () => literalMasker(['secret'])
  const { port, seen } = await stage(t, undefined, { gateway })
  await raw(port, requestText('GET /', [close, 'Range: bytes=0-3']))
  assert.doesNotMatch(JSON.stringify(seen), /range/i)
  const partial = await stage(t, (_request, response) => response.writeHead(206).end('sec'), { gateway })
  assert.match(await raw(partial.port, requestText('GET /', [close])), /^HTTP\/1\.1 502 [^]*mask-unable/)
  const open = await stage(t, undefined, { gateway: unmasked() })
  await raw(open.port, requestText('GET /', [close, 'Range: bytes=0-3']))
  assert.match(JSON.stringify(open.seen), /"Range","bytes=0-3"/)
})

test('P8: encodings that can’t be looked into are not asked for', async t => {
  const { port, seen } = await stage(t, undefined)
  await raw(port, requestText('GET /', [close, 'Accept-Encoding: dcb, gzip;q=0.5, br']))
  await raw(port, requestText('GET /', [close, 'Accept-Encoding: gzip,  br']))
  await raw(port, requestText('GET /', [close, 'Accept-Encoding: compress']))
  const asked = seen.map(each => each.rawHeaders[each.rawHeaders.indexOf('Accept-Encoding') + 1])
  assert.deepEqual(asked, ['gzip;q=0.5, br', 'gzip,  br', 'identity'])
})
