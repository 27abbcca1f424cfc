import assert from 'node:assert/strict'
import { test } from 'node:test'
import { issuerConfig } from '../config/identity.ts'
import type { Subject } from '../model/subject.ts'
import { subjectOf } from './subject-of.ts'

type Input = Parameters<typeof issuerConfig>[0]

const issuer = 'https://idp.example.com'

function read(claims: Record<string, unknown>, config: Partial<Input> = {}) {
  return subjectOf(claims, issuerConfig({ name: 'a', issuer, audience: 'sallyport', ...config }), 5000)
}

function subject(claims: Record<string, unknown>, config: Partial<Input> = {}): Subject {
  const result = read(claims, config)
  assert.ok(typeof result === 'object', String(result))
  return result
}

test('P9: a person', () => {
  const claims = {
    sub: '7',
    name: 'Ana',
    email: 'ana@example.com',
    email_verified: true,
    groups: ['sre', 'sre', 'eu'],
  }
  assert.deepEqual(subject(claims), {
    issuer,
    id: '7',
    name: 'Ana',
    email: 'ana@example.com',
    kind: 'user',
    groups: ['sre', 'eu'],
    method: 'oidc',
    claims,
    expiresAt: 5000,
  })
})

test('P9: act makes the actor the subject, and sub the person it acts for', () => {
  const claims = {
    sub: '7',
    email: 'ana@example.com',
    groups: ['sre'],
    act: { sub: 'agent-1', name: 'Triage' },
  }
  const { kind, id, name, email, onBehalfOf, groups } = subject(claims)
  assert.deepEqual(
    { kind, id, name, email },
    { kind: 'agent', id: 'agent-1', name: 'Triage', email: undefined },
  )
  assert.deepEqual(onBehalfOf, { issuer, id: '7', email: 'ana@example.com' })
  assert.deepEqual(groups, ['sre'])
})

test('P9: of nested actors the outermost is the one that acts', () => {
  const claims = {
    sub: '7',
    act: { sub: 'outer', act: { sub: 'inner', iss: 'https://anywhere.example.net' } },
  }
  assert.equal(subject(claims).id, 'outer')
})

test('P9: kind rules never unmake an actor', () => {
  assert.equal(subject({ sub: '7', act: { sub: 'x' } }, { kind: 'user' }).kind, 'agent')
})

test('P9: an issuer names actors of other issuers only where it is allowed to', () => {
  const claims = { sub: '7', act: { sub: 'spiffe://td/agent', iss: 'spiffe://td' } }
  assert.equal(read(claims), 'actor-refused')
  assert.equal(subject(claims, { actor: { issuers: ['spiffe://td'] } }).issuer, 'spiffe://td')
  assert.equal(read({ sub: '7', act: { sub: 'x' } }, { actor: { accept: false } }), 'actor-refused')
  assert.equal(read({ sub: '7', act: { sub: 'x' } }, { actor: { allowed: [] } }), 'actor-refused')
})

test('P9: a person’s token given to an agent client is that agent for the person', () => {
  const config: Partial<Input> = { actor: { clients: ['agent-app'] }, claims: { id: 'oid' } }
  const entra = { sub: 'pairwise', oid: 'o-1', azp: 'agent-app', groups: ['sre'] }
  const acting = subject(entra, config)
  assert.deepEqual([acting.kind, acting.id, acting.onBehalfOf?.id], ['agent', 'agent-app', 'o-1'])
  const ordinary = subject({ ...entra, azp: 'some-app' }, config)
  assert.deepEqual([ordinary.kind, ordinary.id, ordinary.onBehalfOf], ['user', 'o-1', undefined])
  const own = subject({ sub: 'o-2', oid: 'o-2', azp: 'agent-app', idtyp: 'app' }, config)
  assert.deepEqual([own.kind, own.id, own.onBehalfOf], ['service', 'o-2', undefined])
  assert.equal(read(entra, { ...config, actor: { accept: false, clients: ['agent-app'] } }), 'actor-refused')
})

test('kind: auto tells machines by what the standards say', () => {
  for (const machine of [
    { client_id: '7' },
    { azp: '7' },
    { cid: '7' },
    { idtyp: 'app' },
    { gty: 'client-credentials' },
  ]) {
    assert.equal(subject({ sub: '7', ...machine }).kind, 'service')
  }
  assert.equal(subject({ sub: '7', client_id: 'web', idtyp: 'user' }).kind, 'user')
  assert.equal(subject({ client_id: 'web', oid: 'o' }, { claims: { id: 'oid' } }).kind, 'user')
})

test('kind: rules in order, by presence and by value', () => {
  const kind: Input['kind'] = {
    when: [
      { claim: 'kubernetes.io', kind: 'service' },
      { claim: 'client_id', in: ['bot-1', 'bot-2'], kind: 'agent' },
      { claim: 'realm_access.roles', in: 'agent', kind: 'agent' },
    ],
    otherwise: 'user',
  }
  assert.equal(subject({ sub: '7', 'kubernetes.io': {}, client_id: 'bot-1' }, { kind }).kind, 'service')
  assert.equal(subject({ sub: '7', client_id: 'bot-2' }, { kind }).kind, 'agent')
  assert.equal(subject({ sub: '7', realm_access: { roles: ['x', 'agent'] } }, { kind }).kind, 'agent')
  assert.equal(subject({ sub: '7', client_id: '7' }, { kind }).kind, 'user')
})

test('groups: nested, named with dots, by pointer, united, single', () => {
  const claims = {
    sub: '7',
    realm_access: { roles: ['a'] },
    'https://example.com/groups': ['b'],
    'kubernetes.io': { namespace: 'c' },
    'x.y': 'd',
    x: { y: 'not this' },
  }
  const groups = [
    'realm_access.roles',
    'https://example.com/groups',
    '/kubernetes.io/namespace',
    'x.y',
    'absent.path',
  ]
  assert.deepEqual(subject(claims, { claims: { groups } }).groups, ['a', 'b', 'c', 'd'])
  assert.deepEqual(subject({ sub: '7' }).groups, [])
})

test('P6: paths never reach what every object inherits', () => {
  const paths = ['constructor.name', '__proto__', 'toString.name', '/constructor/name']
  assert.deepEqual(subject({ sub: '7' }, { claims: { groups: paths } }).groups, [])
  assert.equal(read({ sub: '7' }, { claims: { id: 'constructor.name' } }), 'subject-invalid')
})

test('P9: an e-mail address counts only where the issuer vouches for it', () => {
  const email = 'ana@example.com'
  const got = (flag: object, config?: Partial<Input>) => subject({ sub: '7', email, ...flag }, config).email
  assert.equal(got({}), email)
  assert.equal(got({ email_verified: 'true' }), email)
  for (const no of [false, 'false', 0, null, 'yes']) assert.equal(got({ email_verified: no }), undefined)
  assert.equal(got({}, { require_verified_email: true }), undefined)
  assert.equal(got({ email_verified: true }, { require_verified_email: true }), email)
  assert.equal(subject({ sub: '7', email: 'a\nb@example.com' }).email, undefined)
})

test('the first name that is fit to show is the name', () => {
  assert.equal(subject({ sub: '7', name: '', preferred_username: 'ana' }).name, 'ana')
  assert.equal(subject({ sub: '7', name: 'x'.repeat(400) }).name, undefined)
})
