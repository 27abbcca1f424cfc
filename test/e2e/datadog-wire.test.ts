/** What Datadog's Python client puts on the wire and no other client does. Its bytes, without the client. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { request } from 'undici'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, type World } from '../support/world.ts'

const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway
let token: string

before(async () => {
  world = opened.use(await createWorld())
  await world.configure({
    policy: {
      rules: [
        { name: 'agents', effect: 'allow' },
        {
          name: 'no-billing-metrics',
          effect: 'deny',
          operations: ['v2.submitMetrics'],
          when: "request.body.series.exists(each, each.metric.startsWith('billing.'))",
        },
        {
          name: 'no-payroll',
          effect: 'deny',
          when: "request.path == '/api/v2/restriction_policy/dashboard:payroll'",
        },
      ],
    },
  })
  gateway = opened.use(await openGateway(world))
  token = await world.token('triage-agent')
})

after(() => opened.disposeAsync())

/** Sends it and gives the status with what arrived upstream. */
async function send(method: 'GET' | 'POST', path: string, body?: { encoding: string; bytes: Buffer }) {
  const earlier = world.datadog.requests.length
  const { statusCode, body: answer } = await request(`${gateway.url}/c/datadog${path}`, {
    method,
    headers: {
      'dd-api-key': token,
      'dd-application-key': 'unused',
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-encoding': body.encoding }),
    },
    ...(body === undefined ? {} : { body: body.bytes }),
  })
  await answer.dump()
  return { status: statusCode, upstream: world.datadog.requests.slice(earlier) }
}

const encoders = { deflate: deflateSync, gzip: gzipSync, zstd1: zstdCompressSync }

for (const [encoding, encode] of Object.entries(encoders)) {
  test(`P11: metrics in ${encoding} are judged by what they say, and pass as they came`, async () => {
    const payload = (metric: string) =>
      JSON.stringify({ series: [{ metric, type: 3, points: [{ timestamp: 1, value: 2 }] }] })
    const bytes = encode(Buffer.from(payload('web.requests')))
    const passed = await send('POST', '/api/v2/series', { encoding, bytes })
    assert.equal(passed.status, 202)
    assert.equal(passed.upstream[0]?.body, payload('web.requests'))
    assert.equal(passed.upstream[0]?.headers['content-encoding'], encoding)
    assert.equal(passed.upstream[0]?.headers['content-length'], String(bytes.length))
    const denied = await send('POST', '/api/v2/series', {
      encoding,
      bytes: encode(Buffer.from(payload('billing.total'))),
    })
    assert.deepEqual([denied.status, denied.upstream.length], [403, 0])
  })
}

test('P11: an escaped colon or at sign goes upstream as it came, and is judged as the plain one', async () => {
  const { upstream } = await send('GET', '/api/v2/restriction_policy/dashboard%3aabc-def')
  assert.equal(upstream[0]?.target, '/api/v2/restriction_policy/dashboard%3Aabc-def')
  const user = await send('GET', '/api/v1/user/bo%40example.com')
  assert.equal(user.upstream[0]?.target, '/api/v1/user/bo%40example.com')
  const intended = (await gateway.entries()).filter(each => each.kind === 'action.intended').at(-1)
  assert.equal(intended?.['resource'], '/api/v1/user/bo@example.com')
  for (const path of ['dashboard:payroll', 'dashboard%3Apayroll', '%64ashboard%3apayroll/']) {
    const denied = await send('GET', `/api/v2/restriction_policy/${path}`)
    assert.deepEqual([denied.status, denied.upstream.length], [403, 0], path)
  }
})
