/** Requests that two parties could frame or address apart, as raw bytes. Each ends here and nothing goes upstream. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goodToken } from './fake-gateway.ts'
import { dialogue, raw, requestText, stage } from './test-stage.ts'

const auth = `Authorization: Bearer ${goodToken}`
const post = (...headers: string[]): string =>
  `POST /x HTTP/1.1\r\nHost: a\r\n${auth}\r\n${headers.map(h => `${h}\r\n`).join('')}\r\n`
const chunked = 'Transfer-Encoding: chunked'
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

const refused: Readonly<Record<string, string>> = {
  'both lengths': post('Content-Length: 6', chunked) + `0\r\n\r\n${smuggled}`,
  'both lengths, chunked first': post(chunked, 'Content-Length: 6') + `0\r\n\r\n${smuggled}`,
  'two equal lengths': `${post('Content-Length: 5', 'Content-Length: 5')}hello`,
  'two lengths': `${post('Content-Length: 5', 'Content-Length: 6')}hello!`,
  'a list of lengths': `${post('Content-Length: 5, 5')}hello`,
  'a signed length': `${post('Content-Length: +5')}hello`,
  'a negative length': `${post('Content-Length: -5')}hello`,
  'a hexadecimal length': `${post('Content-Length: 0x5')}hello`,
  'an empty length': `${post('Content-Length: ')}hello`,
  'a length in two words': `${post('Content-Length: 5 5')}hello`,
  'a folded header': `${post('X-A: 1\r\n folded')}`,
  'a folded transfer coding': `${post('Transfer-Encoding:\r\n chunked')}0\r\n\r\n`,
  'a space before the colon': post('X-A : 1'),
  'a space before the colon of the coding': `${post('Transfer-Encoding : chunked')}0\r\n\r\n`,
  'another coding before': `${post('Transfer-Encoding: gzip, chunked')}0\r\n\r\n`,
  'another coding after': `${post('Transfer-Encoding: chunked, identity')}0\r\n\r\n`,
  'identity coding': post('Transfer-Encoding: identity'),
  'a coding that looks alike': `${post('Transfer-Encoding: xchunked')}0\r\n\r\n`,
  'the coding twice': `${post(chunked, chunked)}0\r\n\r\n`,
  'a coding in HTTP/1.0': `POST /x HTTP/1.0\r\nHost: a\r\n${auth}\r\n${chunked}\r\n\r\n0\r\n\r\n`,
  'a bare carriage return': post('X-A: 1\rX-B: 2'),
  'bare line feeds': `GET /x HTTP/1.1\nHost: a\n${auth}\n\n`,
  'one bare line feed': `GET /x HTTP/1.1\r\nHost: a\nX: 1\r\n${auth}\r\n\r\n`,
  'a NUL in a header': post('X-A: 1\0'),
  'a control character in a header': post('X-A: 1\x01'),
  'an empty header name': post(': 1'),
  'a header name that is none': post('X(a): 1'),
  'a second Host': `GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n${auth}\r\n\r\n`,
  'the same Host twice': `GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n${auth}\r\n\r\n`,
  'no Host': `GET /x HTTP/1.1\r\n${auth}\r\n\r\n`,
  'an empty Host': `GET /x HTTP/1.1\r\nHost: \r\n${auth}\r\n\r\n`,
  'a path in the Host': `GET /x HTTP/1.1\r\nHost: a/b\r\n${auth}\r\n\r\n`,
  'a user in the Host': `GET /x HTTP/1.1\r\nHost: u@a\r\n${auth}\r\n\r\n`,
  'HTTP/0.9': 'GET /x\r\n\r\n',
  'HTTP/1.2': `GET /x HTTP/1.2\r\nHost: a\r\n${auth}\r\n\r\n`,
  'HTTP/2 in clear by text': `GET /x HTTP/2.0\r\nHost: a\r\n${auth}\r\n\r\n`,
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a method that is none': `G@T /x HTTP/1.1\r\nHost: a\r\n${auth}\r\n\r\n`,
  'a space in the target': `GET /x y HTTP/1.1\r\nHost: a\r\n${auth}\r\n\r\n`,
  'a control character in the target': `GET /x\x01 HTTP/1.1\r\nHost: a\r\n${auth}\r\n\r\n`,
  'raw bytes in the target': `GET /\xe9 HTTP/1.1\r\nHost: a\r\n${auth}\r\n\r\n`,
  'a fragment': `GET /x#y HTTP/1.1\r\nHost: a\r\n${auth}\r\n\r\n`,
  'the asterisk form': `OPTIONS * HTTP/1.1\r\nHost: a\r\n${auth}\r\n\r\n`,
  'two tokens': `GET /x HTTP/1.1\r\nHost: a\r\n${auth}\r\n${auth}\r\n\r\n`,
  'two content types': post('Content-Type: a/b', 'Content-Type: text/json'),
  'a method override': post('X-HTTP-Method-Override: DELETE'),
  'a path override': post('X-Original-URL: /admin'),
  'a token in the path': `GET /x/${goodToken} HTTP/1.1\r\nHost: a\r\n${auth}\r\n\r\n`,
}

for (const [name, bytes] of Object.entries(refused)) {
  test(`refused with 400: ${name}`, async t => {
    const { port, seen, gateway } = await stage(t, undefined)
    const answer = await raw(port, bytes)
    assert.match(answer, /^HTTP\/1\.1 400 [^]*application\/problem\+json/)
    assert.equal(answer.match(/HTTP\/1\.1 \d/g)?.length, 1, 'the connection ends')
    assert.equal(seen.length, 0)
    const noted = gateway.entries.map(({ kind, attributes }) => `${kind}: ${String(attributes?.['reason'])}`)
    // What follows a head that was refused may be unreadable again.
    assert.deepEqual([...new Set(noted)], ['request.refused: invalid-request'])
    assert.ok(!JSON.stringify(gateway.entries).includes(goodToken))
  })
}

const brokenChunks: Readonly<Record<string, string>> = {
  'a size that is no number': 'zz\r\nhello\r\n0\r\n\r\n',
  'a size with 0x': '0x5\r\nhello\r\n0\r\n\r\n',
  'a size with a space': '5 \r\nhello\r\n0\r\n\r\n',
  'a size without end': `${'f'.repeat(17)}\r\nhello\r\n0\r\n\r\n`,
  'a negative size': '-5\r\nhello\r\n0\r\n\r\n',
  'a size ended by a bare line feed': '5\nhello\r\n0\r\n\r\n',
  'a chunk longer than its size': '5\r\nhelloX\r\n0\r\n\r\n',
  'an extension with a bare line feed': '5;a\nb\r\nhello\r\n0\r\n\r\n',
  'a length as trailer': '0\r\nContent-Length: 5\r\n\r\n',
}

for (const [name, body] of Object.entries(brokenChunks)) {
  test(`a chunked body is refused for ${name}, and no whole request reaches the upstream`, async t => {
    const gateway = (await import('./fake-gateway.ts')).fakeGateway()
    let whole = 0
    const { port } = await stage(
      t,
      request => {
        request.on('error', () => {})
        request.resume().on('end', () => whole++)
      },
      { gateway },
    )
    const answer = await raw(port, post(chunked) + body + smuggled)
    assert.match(answer, /^(HTTP\/1\.1 400 |$)/)
    assert.equal(whole, 0)
    const kinds = new Set(['action.not_forwarded', 'action.failed'])
    while (!gateway.entries.some(entry => kinds.has(entry.kind))) {
      await new Promise(resolve => setImmediate(resolve))
    }
  })
}

test('absolute form: ours is taken, elsewhere is 421, another Host than the address is 400', async t => {
  const { port, seen } = await stage(t, undefined, {})
  const ask = (target: string, host: string): Promise<string> =>
    raw(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${auth}\r\nConnection: close\r\n\r\n`)
  assert.match(await ask(`http://127.0.0.1:${port}/mine`, `127.0.0.1:${port}`), /^HTTP\/1\.1 200 /)
  assert.match(await ask(`http://LOCALHOST:${port}/mine`, `localhost:${port}`), /^HTTP\/1\.1 200 /)
  assert.match(await ask('http://api.example.com/x', 'api.example.com'), /^HTTP\/1\.1 421 /)
  assert.match(await ask('http://api.example.com/x', `127.0.0.1:${port}`), /^HTTP\/1\.1 421 /)
  assert.match(await ask(`https://127.0.0.1:${port}/x`, `127.0.0.1:${port}`), /^HTTP\/1\.1 421 /)
  assert.match(await ask(`http://127.0.0.1:${port}/x`, 'other'), /^HTTP\/1\.1 400 /)
  assert.match(await ask(`ftp://127.0.0.1:${port}/x`, `127.0.0.1:${port}`), /^HTTP\/1\.1 400 /)
  assert.equal(seen.length, 2)
})

test('limits have their own statuses', async t => {
  const { port, seen } = await stage(t, undefined, {
    settings: { limits: { url_length: 100, headers: '2KiB', header_count: 10, body: 10 } },
    server: { limits: { headers: 4096 } },
  })
  const status = async (bytes: string): Promise<string> => (await raw(port, bytes)).slice(9, 12)
  const end = 'Connection: close'
  assert.equal(await status(requestText(`GET /${'a'.repeat(100)}`, [end])), '414')
  assert.equal(await status(requestText('GET /', [`X: ${'a'.repeat(2048)}`, end])), '431')
  assert.equal(await status(requestText('GET /', [`X: ${'a'.repeat(5000)}`, end])), '431')
  assert.equal(
    await status(requestText('GET /', [...Array.from({ length: 10 }, (_, i) => `X${i}: 1`), end])),
    '431',
  )
  assert.equal(await status(requestText('POST /', ['Content-Length: 11', end])), '413')
  assert.equal(await status(requestText('POST /', [chunked, end], `b\r\nhello world\r\n0\r\n\r\n`)), '413')
  assert.equal(await status(requestText('TRACE /', [end])), '405')
  assert.equal(await status('CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n'), '405')
  assert.deepEqual(
    seen.filter(each => each.method !== 'POST'),
    [],
  )
})

test('a head or body that trickles in ends with 408', async t => {
  const { port } = await stage(t, undefined, {
    server: { limits: { headersTimeout: 100, requestTimeout: 200 } },
  })
  const head = await dialogue(port)
  head.write('GET / HTTP/1.1\r\nHost: a\r\n')
  assert.match(await head.closed, /^HTTP\/1\.1 408 /)
  const body = await dialogue(port)
  body.write(requestText('POST /', ['Content-Length: 5'], 'he'))
  assert.match(await body.closed, /^HTTP\/1\.1 408 /)
})

test('an offer of h2c is answered in HTTP/1.1', async t => {
  const { port, seen } = await stage(t, undefined)
  const answer = await raw(
    port,
    requestText('GET /', [
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
    ]),
    /"url"/,
  )
  assert.match(answer, /^HTTP\/1\.1 200 /)
  assert.doesNotMatch(JSON.stringify(seen), /upgrade|http2/i)
})
