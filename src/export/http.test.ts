import assert from 'node:assert/strict'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, test } from 'node:test'
import { type HttpEnd, openHttp } from './http.ts'
import type { SendResult } from './sink.ts'

const secret = 'a-very-secret-key'
let server: Server | undefined
let end: HttpEnd | undefined

afterEach(async () => {
  await end?.close()
  server?.closeAllConnections()
  await new Promise(resolve => (server === undefined ? resolve(undefined) : server.close(resolve)))
})

async function post(
  answer: (response: ServerResponse) => void,
  options: { timeoutMs?: number; signal?: AbortSignal; secret?: () => string } = {},
): Promise<SendResult> {
  server = createServer((request, response) => {
    request.resume()
    request.on('end', () => answer(response))
  })
  await new Promise<void>(resolve => server!.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  end = openHttp({ url, timeoutMs: options.timeoutMs ?? 2000, secret: options.secret ?? (() => secret) })
  const signal = options.signal ?? new AbortController().signal
  return end.post(Buffer.from('[]'), signal, key => ({ 'x-key': key }))
}

const meanings: Readonly<Record<number, SendResult['result']>> = {
  200: 'accepted',
  202: 'accepted',
  204: 'accepted',
  301: 'refused',
  400: 'rejected',
  401: 'refused',
  403: 'refused',
  404: 'refused',
  408: 'retry',
  410: 'refused',
  413: 'too-large',
  422: 'rejected',
  425: 'retry',
  429: 'retry',
  500: 'retry',
  502: 'retry',
  503: 'retry',
  504: 'retry',
  599: 'retry',
}
for (const [status, meaning] of Object.entries(meanings)) {
  test(`${status} is ${meaning}`, async () => {
    const { result } = await post(response => response.writeHead(Number(status), { location: '/' }).end())
    assert.equal(result, meaning)
  })
}

test('P4: a far end that shows the key in its answer does not bring it into the detail', async () => {
  const sent = await post(response =>
    response.writeHead(403).end(`bad key ${secret}\n\u0000\u001b[31m and more`),
  )
  assert.deepEqual(sent, { result: 'refused', detail: '403 bad key [secret] [31m and more' })
})

test('P12: of an endless error body only the start is read', async () => {
  const sent = await post(response => {
    response.writeHead(500)
    const feed = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536))) continue
      response.once('drain', feed)
    }
    feed()
  })
  assert.ok(sent.result === 'retry' && sent.detail.length < 400)
})

test('P7: a far end that never answers is a retry', async () => {
  const sent = await post(() => undefined, { timeoutMs: 50 })
  assert.equal(sent.result, 'retry')
})

test('P7: a head of 202 is its word, whatever happens to the body', async () => {
  const sent = await post(response => {
    response.writeHead(202, { 'content-length': '100' }).write('x', () => response.destroy())
  })
  assert.deepEqual(sent, { result: 'accepted' })
})

test('an abort ends it', async () => {
  const stop = new AbortController()
  const sent = await post(() => stop.abort(), { signal: stop.signal })
  assert.equal(sent.result, 'retry')
})

test('P7: a secret that can not be read waits for a person', async () => {
  const sent = await post(() => undefined, {
    secret: () => {
      throw new Error('gone')
    },
  })
  assert.deepEqual(sent, { result: 'refused', detail: 'the secret can not be read' })
})

test('P4: no credential is in a detail: not one that is cut by its end, nor what a header made of it', async () => {
  const cut = await post(response => response.writeHead(403).end(`${'x'.repeat(295)}${secret} and more`))
  assert.ok('detail' in cut)
  assert.doesNotMatch(cut.detail, /a-ver/)
  server!.close()
  const key = 'user:another-secret'
  const basic = `Basic ${Buffer.from(key).toString('base64')}`
  server = createServer((request, response) =>
    response.writeHead(400).end(`bad header "${request.headers.authorization}" of ${key}`),
  )
  await new Promise<void>(resolve => server!.listen(0, '127.0.0.1', resolve))
  await end!.close()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  end = openHttp({ url, timeoutMs: 2000, secret: () => key })
  const { signal } = new AbortController()
  assert.deepEqual(await end.post(Buffer.from('[]'), signal, () => ({ authorization: basic })), {
    result: 'rejected',
    detail: '400 bad header "[secret]" of [secret]',
  })
})
