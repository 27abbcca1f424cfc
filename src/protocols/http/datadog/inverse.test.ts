import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordedExchange } from '../../../gateway/reenact.ts'
import { datadogProtocol } from './index.ts'

const reenactor = datadogProtocol.reenactor!()

function exchange(
  request: { method: string; target: string; body?: unknown },
  answer: { status: number; body?: unknown } = { status: 200 },
  complete = true,
): RecordedExchange {
  const bytes = (value: unknown): Buffer =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  const { body, ...head } = request
  return {
    entry: { recording: { complete } } as RecordedExchange['entry'],
    frames: [
      { from: 'client', part: 'head', bytes: bytes({ ...head, headers: [] }) },
      ...(body === undefined ? [] : [{ from: 'client' as const, part: 'body' as const, bytes: bytes(body) }]),
      { from: 'upstream', part: 'head', bytes: bytes({ status: answer.status, headers: [] }) },
      ...(answer.body === undefined
        ? []
        : [{ from: 'upstream' as const, part: 'body' as const, bytes: bytes(answer.body) }]),
    ],
  }
}

function inverse(
  request: Parameters<typeof exchange>[0],
  before?: unknown,
  answer?: { status: number; body?: unknown },
) {
  const told = reenactor.tell(exchange(request, answer))
  if ('unable' in told) return told.unable
  const found = reenactor.inverseOf(told, before === undefined ? undefined : { state: before, masked: false })
  return 'unable' in found ? found.unable : [found.call.words, found.call.body]
}

const update = { method: 'PUT', target: '/api/v1/monitor/7', body: { name: 'new', muted: true } }

test('what is undone, and by what', () => {
  const before = { id: 7, name: 'old', type: 'query alert', query: 'q > 1', creator: { name: 'x' } }
  assert.deepEqual(inverse(update, before), ['PUT /api/v1/monitor/7', { name: 'old' }])
  assert.deepEqual(inverse({ method: 'DELETE', target: '/api/v1/monitor/7' }, before), [
    'POST /api/v1/monitor',
    { name: 'old', type: 'query alert', query: 'q > 1' },
  ])
  const restore = ['PATCH /api/v1/dashboard', { data: [{ id: 'abc', type: 'dashboard' }] }]
  assert.deepEqual(inverse({ method: 'DELETE', target: '/api/v1/dashboard/abc' }), restore)
  const bulk = { data: [{ id: 'abc', type: 'dashboard' }] }
  assert.deepEqual(inverse({ method: 'DELETE', target: '/api/v1/dashboard', body: bulk }), restore)
  const made = { status: 200, body: { id: 9, name: 'x' } }
  const creation = { method: 'POST', target: '/api/v1/monitor', body: { name: 'x' } }
  assert.deepEqual(inverse(creation, undefined, made), ['DELETE /api/v1/monitor/9', undefined])
})

test('what can not be undone says why', () => {
  assert.match(String(inverse(update)), /the state before it was not recorded/)
  assert.match(String(inverse(update, { name: '@[masked:email]' })), /a mask is never written/)
  assert.match(String(inverse({ ...update, body: { priority: 1 } }, { name: 'old' })), /it added priority/)
  assert.match(String(inverse({ method: 'POST', target: '/api/v1/host/web/mute' })), /nothing is known/)
  const cut = reenactor.tell(exchange(update, { status: 200 }, false))
  assert.ok('unable' in cut)
})

test('a state that can not be written back exactly is none', () => {
  const read = { method: 'GET', target: '/api/v1/monitor/7' }
  const exact = reenactor.stateOf(exchange(read, { status: 200, body: '{"id":9007199254740991}' }))
  assert.ok('state' in exact)
  const large = reenactor.stateOf(exchange(read, { status: 200, body: '{"id":9007199254740993}' }))
  assert.ok('unable' in large)
  const hidden = exchange(read, { status: 200, body: '{"name":"[masked:email]"}' })
  const counted = { ...hidden, entry: { ...hidden.entry, masked: { count: 2, kinds: ['email'] } } }
  assert.deepEqual(reenactor.stateOf(counted), { state: { name: '[masked:email]' }, masked: true })
})
