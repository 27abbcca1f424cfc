import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identitySection, rolesSection } from '../config/identity.ts'
import type { Subject } from '../model/subject.ts'
import { compileRoles } from './roles.ts'

const { issuers } = identitySection.parse({
  issuers: [{ name: 'okta', issuer: 'https://okta.example.com', audience: 'sallyport' }],
})

const rolesOf = compileRoles(
  rolesSection.parse({
    admin: ['group:platform', { issuer: 'sallyport', id: 'terraform' }],
    approver: ['user:Ana@example.com', { issuer: 'okta', group: 'sre' }],
    auditor: ['issuer:https://audit.example.com', 'id:siem', 'group:agents'],
  }),
  issuers,
)

function subject(part: Partial<Subject>): Subject {
  return {
    issuer: 'https://okta.example.com',
    id: '1',
    kind: 'user',
    groups: [],
    method: 'oidc',
    claims: {},
    ...part,
  }
}

const rolesFor = (part: Partial<Subject>) => [...rolesOf(subject(part))].join(' ')

test('who gets which role', () => {
  assert.equal(rolesFor({}), 'user')
  assert.equal(rolesFor({ groups: ['platform'] }), 'admin user')
  assert.equal(rolesFor({ email: 'ANA@example.com' }), 'approver user')
  assert.equal(rolesFor({ groups: ['sre'] }), 'approver user')
  assert.equal(rolesFor({ groups: ['sre'], issuer: 'https://other.example.com' }), 'user')
  assert.equal(rolesFor({ issuer: 'https://audit.example.com' }), 'auditor user')
  assert.equal(rolesFor({ id: 'siem', kind: 'service' }), 'auditor user')
  assert.equal(rolesFor({ issuer: 'sallyport', id: 'terraform', kind: 'service' }), 'admin user')
  assert.equal(rolesFor({ id: 'terraform', kind: 'service' }), 'user')
  assert.equal(rolesFor({ groups: ['Platform', 'platform '] }), 'user')
})

test('P5: an agent is neither admin nor approver, whatever groups its person has', () => {
  const acting = { kind: 'agent', groups: ['platform', 'sre', 'agents'], email: 'ana@example.com' } as const
  assert.equal(rolesFor(acting), 'auditor user')
})

test('P5: only people approve', () => {
  assert.equal(rolesFor({ kind: 'service', groups: ['sre'], email: 'ana@example.com' }), 'user')
})

test('nobody has a role that is not given', () => {
  const none = compileRoles(rolesSection.parse({ user: [] }), issuers)
  assert.equal(none(subject({ groups: ['platform'] })).size, 0)
})

test('a matcher that is misspelt, empty or unknown is a mistake in the file', () => {
  for (const bad of ['grup:x', 'group:', '', 'everybody', {}, { groups: 'x' }]) {
    assert.equal(rolesSection.safeParse({ admin: [bad] }).success, false, JSON.stringify(bad))
  }
})
