/** Terminals that wait: one code, one decision, one use, and not for long. */
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import type { Subject } from '../../model/subject.ts'
import { deviceIntervalMs, deviceLastsMs, DeviceSignIns } from './device-sign-ins.ts'

const client = { ip: '192.0.2.7', port: 4000 }
const subject: Subject = { issuer: 'i', id: 'cam', kind: 'user', groups: [], method: 'saml', claims: {} }
const by = { subject, provider: 'corp', from: { ip: '192.0.2.8', port: 5000 } }

let now = 0
let devices: DeviceSignIns

beforeEach(() => {
  now = 1_700_000_000_000
  devices = new DeviceSignIns({ now: () => now })
})

test('a terminal is let in by its code, however it is written, and redeems it once', () => {
  const { deviceCode, userCode } = devices.begin(client)!
  assert.match(userCode, /^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/)
  assert.equal(devices.poll(deviceCode).state, 'pending')
  assert.equal(devices.find(userCode.toLowerCase().replace('-', ' '))?.client.ip, client.ip)
  assert.ok(devices.decide(userCode, by))
  assert.deepEqual(devices.poll(deviceCode), { state: 'approved', by, client })
  assert.equal(devices.poll(deviceCode).state, 'expired', 'once')
  assert.equal(devices.find(userCode), undefined)
})

test('what was decided is not decided again', () => {
  const { deviceCode, userCode } = devices.begin(client)!
  assert.ok(devices.decide(userCode, 'refused'))
  assert.equal(devices.decide(userCode, by), undefined)
  assert.equal(devices.poll(deviceCode).state, 'refused')
})

test('a code ends after ten minutes, decided or not', () => {
  const first = devices.begin(client)!
  const second = devices.begin(client)!
  devices.decide(second.userCode, by)
  now += deviceLastsMs
  assert.equal(devices.find(first.userCode), undefined)
  assert.equal(devices.decide(first.userCode, by), undefined)
  for (const each of [first, second]) assert.equal(devices.poll(each.deviceCode).state, 'expired')
})

test('a terminal that asks too often has to wait longer', () => {
  const { deviceCode } = devices.begin(client)!
  assert.equal(devices.poll(deviceCode).state, 'pending')
  assert.equal(devices.poll(deviceCode).state, 'slow-down')
  now += deviceIntervalMs
  assert.equal(devices.poll(deviceCode).state, 'slow-down')
  now += deviceIntervalMs + 10_000
  assert.equal(devices.poll(deviceCode).state, 'pending')
})

test('nobody guesses: a user code redeems nothing, and a wrong device code is none', () => {
  const { userCode } = devices.begin(client)!
  devices.decide(userCode, by)
  for (const guess of [userCode, userCode.replace('-', ''), '', 'x'.repeat(43)])
    assert.equal(devices.poll(guess).state, 'expired')
})

test('P12: only so many wait, and those that ended make room', () => {
  let begun = 0
  while (devices.begin(client) !== undefined) begun++
  assert.equal(begun, 2000)
  now += deviceLastsMs
  assert.ok(devices.begin(client))
})
