import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../errors.ts'
import { datadogFlavour } from './flavour.ts'
import { datadogSettings } from './settings.ts'

const flavourOf = (settings: unknown = {}) => datadogFlavour(datadogSettings.parse(settings))
const keys = { api_key: 'a'.repeat(32), app_key: 'b'.repeat(40) }
const flavour = flavourOf()
const operation = (method: string, path: string) => flavour.operationOf({ method, path })

test('an operation has its name, template, parameters, risk, tag and host', () => {
  const found = operation('GET', '/api/v1/monitor/42')
  assert.deepEqual(
    [found.operation, found.template, found.params, found.known, found.risk, found.facts, found.mask],
    [
      'v1.getMonitor',
      '/api/v1/monitor/{monitor_id}',
      { monitor_id: '42' },
      true,
      'read',
      { tag: 'Monitors' },
      undefined,
    ],
  )
  assert.equal(found.upstream.origin, 'https://api.datadoghq.com')
})

test('an unknown path is unknown, and a write to it as grave as can be', () => {
  const read = operation('GET', '/api/v9/thing')
  assert.deepEqual([read.operation, read.known, read.risk], ['GET /api/v9/thing', false, 'read'])
  assert.deepEqual([operation('POST', '/api/v9/thing').risk, operation('BREW', '/').risk], ['admin', 'admin'])
  assert.deepEqual(read.mask, ['datadog-secrets'])
})

test('P4: a key in a path is in no name, parameter or resource', () => {
  const key = '0123456789abcdef0123456789abcdef'
  for (const [method, path] of [
    ['GET', `/api/v1/api_key/${key}`],
    ['DELETE', `/api/v1/application_key/${key}ffffffff`],
    ['GET', `/api/v1/dashboard/public/${key}`],
    ['PATCH', `/api/v1/api_key/${key}`],
    ['GET', `/api/v7/tokens/ddpat_abc_${key}`],
  ] as const) {
    const found = operation(method, path)
    assert.ok(!JSON.stringify(found).includes(key), path)
    assert.ok('resource' in found, path)
    assert.deepEqual(found.mask, ['datadog-secrets'])
  }
})

test('P8: operations that handle secrets are masked by default, unless settings say otherwise', () => {
  const target = { method: 'GET', path: '/api/v2/api_keys/x' }
  assert.deepEqual(flavour.operationOf(target).mask, ['datadog-secrets'])
  assert.equal(flavourOf({ mask_secrets: false }).operationOf(target).mask, undefined)
})

test('each host by site, and its overrides', () => {
  const origins = (settings: unknown) => {
    const of = flavourOf(settings)
    return [
      ['GET', '/api/v1/dashboard'],
      ['POST', '/api/v2/logs'],
      ['POST', '/v1/input'],
      ['POST', '/api/v2/events'],
      ['GET', '/'],
      ['POST', '/api/v2/on-call/pages'],
      ['POST', '/api/v2/prodlytics'],
    ].map(([method, path]) => of.operationOf({ method: method!, path: path! }).upstream.host)
  }
  assert.deepEqual(origins({ site: 'us3.datadoghq.com' }), [
    'api.us3.datadoghq.com',
    'http-intake.logs.us3.datadoghq.com',
    'http-intake.logs.us3.datadoghq.com',
    'event-management-intake.us3.datadoghq.com',
    'ip-ranges.us3.datadoghq.com',
    'navy.oncall.us3.datadoghq.com',
    'browser-intake-us3-datadoghq.com',
  ])
  assert.equal(origins({ site: 'datadoghq.eu' })[6], 'browser-intake-datadoghq.eu')
  assert.deepEqual(new Set(origins({ url: 'http://127.0.0.1:8126' })), new Set(['127.0.0.1:8126']))
  assert.equal(flavourOf({ url: 'http://127.0.0.1:8126' }).upstreams.length, 1)
  const some = origins({ url: 'https://proxy.example.com', hosts: { logs: 'http://localhost:9/x' } })
  assert.deepEqual(some.slice(0, 2), ['proxy.example.com', 'localhost:9'])
})

test('settings are refused that would send keys in clear, or are no site', () => {
  assert.throws(() => datadogSettings.parse({ url: 'http://proxy.example.com' }), /plain_http/)
  assert.throws(() => datadogSettings.parse({ hosts: { logs: 'http://10.0.0.1' } }), /plain_http/)
  assert.throws(() => datadogSettings.parse({ url: 'http://127.0.0.1.example.com' }), /plain_http/)
  assert.doesNotThrow(() => datadogSettings.parse({ url: 'http://proxy.example.com', plain_http: true }))
  for (const site of ['', 'a b', 'x/y', 'x@y', 'x:1', '-x'])
    assert.throws(() => datadogSettings.parse({ site }), Error, site)
  assert.throws(() => datadogSettings.parse({ url: 'ftp://example.com' }))
  assert.throws(() => datadogSettings.parse({ sites: 'x' }))
})

test('P4: each operation gets the credential it needs and no other', () => {
  const headers = (method: string, path: string, secrets: Record<string, string>) =>
    flavour.inject(operation(method, path), secrets).headers ?? []
  assert.deepEqual(headers('GET', '/api/v1/dashboard', keys), [
    ['DD-API-KEY', keys.api_key],
    ['DD-APPLICATION-KEY', keys.app_key],
  ])
  assert.deepEqual(headers('POST', '/api/v2/logs', { ...keys, access_token: 'ddsat_x_y' }), [
    ['DD-API-KEY', keys.api_key],
  ])
  assert.deepEqual(headers('GET', '/api/v1/dashboard', { ...keys, access_token: 'ddsat_x_y' }), [
    ['DD-APPLICATION-KEY', 'ddsat_x_y'],
  ])
  assert.deepEqual(headers('GET', '/api/v1/dashboard', { ...keys, access_token: 'oauth' }), [
    ['Authorization', 'Bearer oauth'],
  ])
  assert.deepEqual(headers('GET', '/', keys), [])
  assert.deepEqual(headers('GET', '/api/v9/thing', keys).length, 2)
  const missing = (error: unknown) => error instanceof GatewayError && error.code === 'credential-unavailable'
  assert.throws(() => headers('GET', '/api/v1/dashboard', { api_key: keys.api_key }), missing)
  assert.throws(() => headers('POST', '/api/v2/logs', {}), missing)
})

test('P11: a refusal reads as one of Datadog’s own errors', () => {
  const problem = {
    status: 403,
    title: 'Denied by policy',
    code: 'denied',
    detail: 'ask first',
    rule: 'r',
    instance: 'e_1',
  }
  assert.deepEqual(flavour.problemMembers?.(problem), {
    errors: ['Denied by policy: ask first (rule r, entry e_1)'],
  })
})

test('what a change of one resource is compared with is a read of the same path', () => {
  const planOf = (method: string, path: string) =>
    flavour.previewOf?.(flavour.operationOf({ method, path }), { method, path })
  assert.deepEqual(planOf('POST', '/api/v1/monitor'), { kind: 'create' })
  assert.equal(planOf('PUT', '/api/v1/monitor/5')?.kind, 'update')
  assert.equal(planOf('PATCH', '/api/v2/users/x')?.kind, 'update')
  const removal = planOf('DELETE', '/api/v1/dashboard/abc-def')
  assert.ok(removal?.kind === 'delete')
  assert.deepEqual(
    [removal.path, removal.volatile],
    ['/api/v1/dashboard/abc-def', ['modified', 'modified_at']],
  )
  // Collections, searches, submissions, reads, and what nobody knows.
  for (const [method, path] of [
    ['DELETE', '/api/v1/dashboard'],
    ['POST', '/api/v2/logs/events/search'],
    ['POST', '/api/v2/series'],
    ['GET', '/api/v1/monitor/5'],
    ['PUT', '/api/v9/thing/5'],
  ] as const)
    assert.equal(planOf(method, path), undefined, `${method} ${path}`)
})
