import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpAction } from './action.ts'
import { type HttpOperation, upstreamBase } from './flavour.ts'
import { literalMasker } from './fake-gateway.ts'
import { recordedRequest } from './masks.ts'
import type { RequestHead } from './request.ts'
import { raw, requestText, stage } from './test-stage.ts'

const key = '0123456789abcdef0123456789abcdef'

const head: RequestHead = {
  method: 'GET',
  version: '1.1',
  path: `/keys/${key}`,
  judged: `/keys/${key}`,
  query: [],
  headers: [],
  authority: 'gw.example.com',
  contentType: undefined,
  encodings: [],
  contentLength: undefined,
  hasBody: false,
  expectsContinue: false,
  range: undefined,
  ifRange: undefined,
  agent: undefined,
  waitSeconds: undefined,
  respondAsync: false,
  tokens: [],
}

const operation: HttpOperation = {
  operation: 'getKey',
  template: '/keys/{key}',
  resource: '/keys/{key}',
  params: {},
  known: true,
  risk: 'read',
  upstream: upstreamBase('https://api.example.com'),
}

test('P4: a path that holds a secret is in no part of the action nor of its record, and still tells two apart', () => {
  const action = new HttpAction(head, operation)
  const { resource, content, facts } = action
  const recorded = recordedRequest(head, literalMasker([]), operation.resource).toString()
  assert.equal(resource, '/keys/{key}')
  assert.ok(!JSON.stringify({ resource, content, facts, recorded }).includes(key))
  const other = { ...head, path: `/keys/f${key.slice(1)}`, judged: `/keys/f${key.slice(1)}` }
  assert.notEqual(new HttpAction(other, operation).digest(), action.digest())
})

test('P1: a request whose body cannot be judged is an entry with its fault, and nothing is forwarded', async t => {
  const { port, gateway, seen } = await stage(t, undefined, { settings: { limits: { judged_body: 16 } } })
  gateway.demandsBody = true
  const cases = [
    [['Content-Length: 17'], 'x'.repeat(17), 413, 'body-too-large'],
    [['Content-Length: 4', 'Content-Encoding: lzma'], 'abcd', 415, 'unsupported-encoding'],
    [['Content-Length: 4', 'Content-Encoding: gzip'], 'abcd', 400, 'invalid-request'],
  ] as const
  for (const [headers, body, status, code] of cases) {
    const before = gateway.entries.length
    const answer = await raw(port, requestText('POST /things', [...headers], body))
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} [^]*\r\nConnection: close\r\n`, 'i'))
    assert.match(answer, /"instance":"log\.example\.com\/\d+"/)
    const entries = gateway.entries.slice(before)
    assert.deepEqual(
      entries.map(each => [each.kind, each.error?.code]),
      [
        ['action.intended', undefined],
        ['action.not_forwarded', code],
      ],
    )
  }
  assert.deepEqual(seen, [])
  assert.deepEqual(gateway.frames, [])
})
