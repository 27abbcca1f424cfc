import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  type PracticeIdentityProvider,
  startPracticeIdentityProvider,
} from '../../../practice/identity-provider/practice-identity-provider.ts'
import type { Audit } from '../../audit/audit.ts'
import { oauthSection } from '../../config/oauth.ts'
import type { Connection } from '../../model/connection.ts'
import type { Subject } from '../../model/subject.ts'
import { openMemoryStorage } from '../../storage/memory/index.ts'
import { createCredentials } from '../credentials.ts'
import { UpstreamGrants } from './upstream-grants.ts'

let base: string
let provider: PracticeIdentityProvider

const person = (id: string): Subject => ({
  issuer: 'https://idp.example.com',
  id,
  kind: 'user',
  groups: [],
  method: 'oidc',
  claims: {},
})
const ana = person('ana')
const agent: Subject = { ...person('triage'), kind: 'agent', onBehalfOf: { issuer: ana.issuer, id: 'ana' } }

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'sallyport-oauth-'))
  await writeFile(join(base, 'secret'), 'practice\n')
  provider = await startPracticeIdentityProvider({ lifetime: 600 })
})

after(async () => {
  await provider.close()
  await rm(base, { recursive: true })
})

function stage() {
  const oauth = oauthSection.parse({
    grant: 'authorization_code',
    issuer: provider.issuer,
    client_id: 'report-service',
    client_secret: 'file:secret',
    scopes: ['openid'],
  })
  const target: Connection = {
    name: 'notes',
    protocol: 'x',
    sensitivity: 'low',
    labels: {},
    credential: { token: { oauth } },
    settings: {},
  }
  const clock = { at: Date.now(), now: () => clock.at }
  const { state } = openMemoryStorage()
  const noted: { kind: string; attributes: unknown }[] = []
  const audit = {
    note: (kind: string, attributes: unknown) => {
      noted.push({ kind, attributes })
      return Promise.resolve({ id: 'e', index: 0 })
    },
  } as unknown as Audit
  const grants = new UpstreamGrants({
    state,
    audit,
    clock,
    key: Buffer.alloc(32, 1),
    base,
    publicUrl: () => 'http://127.0.0.1:1',
    connections: () => [target],
  })
  const vault = createCredentials({ base, grants, clock })
  const token = async (subject: Subject) => (await vault.lease({ target, subject })).secrets['token']!
  return { target, clock, state, noted, grants, vault, token }
}

/** What the browser does: the sign-in page of the authorization server, and back. Gives the query of the callback. */
async function consentAs(who: string, url: string): Promise<string> {
  const form = new URLSearchParams(new URL(url).search)
  form.set('person', who)
  const answer = await fetch(`${provider.issuer}/authorize`, {
    method: 'POST',
    body: form,
    redirect: 'manual',
  })
  assert.equal(answer.status, 303, await answer.text())
  return new URL(answer.headers.get('location')!).search
}

async function granted(of: ReturnType<typeof stage>): Promise<void> {
  const { url } = await of.grants.begin(ana, 'notes')
  await of.grants.answered(await consentAs('ana', url), ana)
}

function subjectOf(token: string): unknown {
  return (JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sub: unknown }).sub
}

test('without consent the refusal says where to go; after it, the person and their agent have a token', async () => {
  const of = stage()
  await assert.rejects(of.token(agent), (error: { code: string; detail: string }) => {
    assert.equal(error.code, 'consent-needed')
    assert.match(error.detail, /http:\/\/127\.0\.0\.1:1\/connect\/notes/)
    return true
  })
  await granted(of)
  assert.equal(subjectOf(await of.token(agent)), 'ana')
  assert.equal(await of.token(ana), await of.token(agent))
  await assert.rejects(of.token(person('bo')), { code: 'consent-needed' })
  assert.deepEqual(
    of.noted.map(each => each.kind),
    ['credential.granted'],
  )
})

test('a browser that is not known ends with a code, which only the same person can use, once', async () => {
  const of = stage()
  const { url } = await of.grants.begin(ana, 'notes')
  const answered = await of.grants.answered(await consentAs('ana', url), undefined)
  const confirmation = answered!.confirmation!
  await assert.rejects(of.grants.confirm(person('bo'), 'notes', { confirmation }), { code: 'not-found' })
  await assert.rejects(of.grants.confirm(agent, 'notes', { confirmation }), { code: 'denied' })
  await assert.rejects(of.token(ana), { code: 'consent-needed' })
  await of.grants.confirm(ana, 'notes', { confirmation: confirmation.toLowerCase() })
  assert.equal(subjectOf(await of.token(ana)), 'ana')
  await assert.rejects(of.grants.confirm(ana, 'notes', { confirmation }), { code: 'not-found' })
})

test('attack: an answer that another person began, or a second time, or with another state, counts for nothing', async () => {
  const of = stage()
  const { url } = await of.grants.begin(person('mallory'), 'notes')
  const search = await consentAs('bo', url)
  assert.equal(await of.grants.answered(search, ana), undefined)
  assert.equal(await of.grants.answered(search, person('mallory')), undefined)
  assert.equal(await of.grants.answered('?code=x&state=y', ana), undefined)
  await assert.rejects(of.token(ana), { code: 'consent-needed' })
})

test('attack: an answer of another authorization server is not exchanged (RFC 9207)', async () => {
  const of = stage()
  const { url } = await of.grants.begin(ana, 'notes')
  const search = new URLSearchParams(await consentAs('ana', url))
  search.set('iss', 'https://evil.example.com')
  const before = provider.requests.get('/token')
  await assert.rejects(of.grants.answered(`?${search.toString()}`, ana), { code: 'credential-unavailable' })
  assert.equal(provider.requests.get('/token'), before)
})

test('attack: guessing the code ends the consent', async () => {
  const of = stage()
  const { url } = await of.grants.begin(ana, 'notes')
  const { confirmation } = (await of.grants.answered(await consentAs('ana', url), undefined))!
  for (let i = 0; i < 5; i++)
    await assert.rejects(of.grants.confirm(ana, 'notes', { confirmation: 'AAAA-AAAA' }), {
      code: 'not-found',
    })
  await assert.rejects(of.grants.confirm(ana, 'notes', { confirmation: confirmation! }), {
    code: 'not-found',
  })
})

test('a refresh is one for all, rotates, and a server that is down loses nothing', async () => {
  const of = stage()
  await granted(of)
  const first = await of.token(ana)
  of.clock.at += 700_000
  provider.outage(true)
  await assert.rejects(of.token(ana), { code: 'credential-unavailable' })
  provider.outage(false)
  const before = provider.requests.get('/token')!
  const all = await Promise.all(Array.from({ length: 10 }, () => of.token(ana)))
  assert.equal(new Set(all).size, 1)
  assert.notEqual(all[0], first)
  assert.equal(provider.requests.get('/token'), before + 1)
  // The refresh token of this practice issuer is good once: that it works again shows that the newest was kept.
  of.clock.at += 700_000
  assert.notEqual(await of.token(ana), all[0])
})

test('a refresh token that is no good any more asks for consent again', async () => {
  const of = stage()
  await granted(of)
  const { key } = (await of.state.list<string>('upstream-token'))[0]!
  const earlier = (await of.state.get<string>('upstream-token', key))!.value
  of.clock.at += 700_000
  await of.token(ana)
  const now = (await of.state.get<string>('upstream-token', key))!
  await of.state.put('upstream-token', key, earlier, now.version)
  of.clock.at += 700_000
  await assert.rejects(of.token(ana), { code: 'consent-needed' })
})

test('P4: what is kept shows no token, and what came along with one is masked', async () => {
  const of = stage()
  await granted(of)
  const { target } = of
  const lease = await of.vault.lease({ target, subject: ana })
  assert.ok(lease.alsoSecret!.length >= 3, 'access, refresh and ID token')
  const kept = JSON.stringify(await of.state.list('upstream-token'))
  for (const secret of lease.alsoSecret!) assert.ok(!kept.includes(secret.slice(0, 24)))
  assert.ok(!JSON.stringify(of.noted).includes(lease.secrets['token']!.slice(0, 24)))
})

test('taken back is gone', async () => {
  const of = stage()
  await granted(of)
  assert.ok(await of.grants.since(ana, 'notes'))
  await of.grants.withdraw(ana, 'notes')
  assert.equal(await of.grants.since(ana, 'notes'), undefined)
  await assert.rejects(of.token(ana), { code: 'consent-needed' })
  assert.deepEqual(
    of.noted.map(each => each.kind),
    ['credential.granted', 'credential.withdrawn'],
  )
})
