import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { clientPackage, generateOperations, tableFile } from '../../../../script/datadog-operations.ts'
import { findOperation, operations } from './catalogue.ts'

const nameOf = (method: string, path: string) => findOperation(method, path)?.operation.name

test('the committed table is what the client package says', context => {
  if (!existsSync(clientPackage)) {
    context.skip('NOT CHECKED: @datadog/datadog-api-client is not installed')
    return
  }
  assert.equal(readFileSync(tableFile, 'utf8'), generateOperations(), 'run script/datadog-operations')
})

test('it holds every operation once', () => {
  assert.equal(operations.length, 1831)
  assert.equal(new Set(operations.map(each => each.name)).size, 1831)
  assert.equal(new Set(operations.map(each => `${each.method} ${each.template}`)).size, 1831)
})

test('every operation is found by its own template, with its parameters', () => {
  for (const operation of operations) {
    let count = 0
    const path = operation.template.replaceAll(/\{\w+\}/g, () => `value-${++count}`)
    const match = findOperation(operation.method, path)
    assert.equal(match?.operation, operation)
    assert.deepEqual(
      Object.values(match.params),
      Array.from({ length: count }, (_, i) => `value-${i + 1}`),
    )
  }
})

test('a literal wins over a parameter, and gives way where it leads nowhere', () => {
  assert.equal(nameOf('GET', '/api/v1/monitor/search'), 'v1.searchMonitors')
  assert.equal(nameOf('GET', '/api/v1/monitor/42'), 'v1.getMonitor')
  assert.equal(nameOf('DELETE', '/api/v1/monitor/search'), 'v1.deleteMonitor')
  assert.equal(nameOf('POST', '/api/v1/monitor/validate'), 'v1.validateMonitor')
  assert.equal(nameOf('POST', '/api/v1/monitor/42/validate'), 'v1.validateExistingMonitor')
})

test('HEAD is its GET, a trailing slash changes nothing, the root is the IP ranges', () => {
  assert.equal(nameOf('HEAD', '/api/v1/dashboard'), 'v1.listDashboards')
  assert.equal(nameOf('DELETE', '/api/v1/dashboard/'), 'v1.deleteDashboards')
  assert.equal(nameOf('GET', '/'), 'v1.getIPRanges')
})

test('what is not in it is not found', () => {
  for (const path of [
    '/api/v3/dashboard',
    '/API/v1/dashboard',
    '/api/v1/dashboard//x',
    '/api/v1/monitor/1%2Fmute',
    '/api/v1/monitor/%zz',
    `/${'a/'.repeat(5000)}`,
    '/__proto__/constructor',
    '//',
    '',
  ])
    assert.equal(nameOf('GET', path), undefined, path.slice(0, 40))
  assert.equal(nameOf('get', '/api/v1/dashboard'), undefined)
  assert.equal(nameOf('BREW', '/api/v1/dashboard'), undefined)
})

test('no path makes it throw, and parameters come back decoded', () => {
  fc.assert(fc.property(fc.string(), path => void findOperation('GET', `/${path}`)))
  const text = fc.string({ minLength: 1 }).filter(each => !/[/\\]|^search$/.test(each) && each.isWellFormed())
  fc.assert(
    fc.property(text, id => {
      const match = findOperation('GET', `/api/v1/monitor/${encodeURIComponent(id)}`)
      assert.equal(match?.operation.name, 'v1.getMonitor')
      assert.equal(match.params['monitor_id'], id)
    }),
  )
})

test('the risk is the gravest thing an operation does', () => {
  const risk = (name: string) => operations.find(each => each.name === name)?.risk
  assert.deepEqual(
    ['v1.listDashboards', 'v2.searchEvents', 'v1.validateMonitor', 'v2.aggregateLogs', 'v1.listLogs'].map(
      risk,
    ),
    ['read', 'read', 'read', 'read', 'read'],
  )
  assert.deepEqual(
    ['v1.createDashboard', 'v1.updateMonitor', 'v2.submitLog', 'v2.convertJobResultToSignal'].map(risk),
    ['write', 'write', 'write', 'write'],
  )
  assert.deepEqual(['v1.deleteMonitor', 'v1.cancelDowntimesByScope', 'v1.deleteTests'].map(risk), [
    'delete',
    'delete',
    'delete',
  ])
  for (const name of [
    'v2.createAPIKey',
    'v2.deleteAPIKey',
    'v2.createPersonalAccessToken',
    'v2.addUserToRole',
    'v2.disableUser',
    'v1.updateOrg',
    'v2.deleteLogsArchive',
    'v1.updateLogsIndex',
    'v1.updateLogsPipelineOrder',
    'v2.updateLogsCustomDestination',
    'v2.updateIPAllowlist',
    'v2.createAuthNMapping',
    'v2.uploadIdPMetadata',
    'v2.updateRestrictionPolicy',
  ])
    assert.equal(risk(name), 'admin', name)
  assert.equal(operations.filter(each => each.method === 'POST' && each.risk === 'read').length, 84)
})

test('P8: the operations that give secrets away are marked', () => {
  const returning = new Set(operations.filter(each => each.returnsSecrets).map(each => each.name))
  for (const name of [
    'v1.listAPIKeys',
    'v1.getAPIKey',
    'v1.listApplicationKeys',
    'v2.getAPIKey',
    'v2.createAPIKey',
    'v2.getApplicationKey',
    'v2.createServiceAccountAccessToken',
    'v1.getWebhooksIntegration',
    'v1.getGlobalVariable',
    'v2.getRUMApplication',
  ])
    assert.ok(returning.has(name), name)
  assert.ok(!returning.has('v1.getMonitor'))
  assert.deepEqual(
    operations.filter(each => each.secretPath && each.method === 'GET').map(each => each.template),
    [
      '/api/v1/api_key/{key}',
      '/api/v1/application_key/{key}',
      '/api/v1/dashboard/public/{token}',
      '/api/v1/dashboard/public/{token}/invitation',
      '/api/v2/dashboard/{dashboard_id}/shared/secure-embed/{token}',
    ],
  )
})
