import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type PracticeIdentityProvider,
  startPracticeIdentityProvider,
} from '../../practice/identity-provider/practice-identity-provider.ts'
import { issuerConfig } from '../config/identity.ts'
import { createAuthenticator } from './create-authenticator.ts'
import { type DevicePrompt, loginWithDevice, refreshLogin } from './device-login.ts'

let idp: PracticeIdentityProvider

before(async () => {
  idp = await startPracticeIdentityProvider()
})

after(async () => {
  await idp.close()
})

const client = () => ({ issuer: idp.issuer, clientId: 'sallyport-cli', audience: 'sallyport' })

/** What the person does in the browser. */
async function decide(prompt: DevicePrompt, person: string): Promise<void> {
  const body = new URLSearchParams({ user_code: prompt.userCode, person })
  await fetch(prompt.verificationUri, { method: 'POST', body })
}

test('a person signs in from a terminal, is who they are at the gateway, and refreshes', async () => {
  let approving: Promise<void> | undefined
  const tokens = await loginWithDevice(client(), prompt => {
    assert.ok(prompt.verificationUriComplete?.includes(prompt.userCode))
    approving = decide(prompt, 'bo')
  })
  await approving
  const issuers = [issuerConfig({ name: 'practice', issuer: idp.issuer, audience: 'sallyport' })]
  const authenticator = createAuthenticator({ issuers })
  const identified = await authenticator.identify({ token: tokens.accessToken })
  assert.ok('subject' in identified)
  assert.equal(identified.subject.email, 'bo@example.com')
  assert.ok(tokens.idToken !== undefined && tokens.expiresAt! > Date.now())
  const renewed = await refreshLogin(client(), tokens.refreshToken!)
  assert.ok('subject' in (await authenticator.identify({ token: renewed.accessToken })))
  await assert.rejects(refreshLogin(client(), tokens.refreshToken!), { code: 'unauthenticated' })
  await authenticator.close()
})

test('a refusal is told as one', async () => {
  let refusing: Promise<void> | undefined
  const login = loginWithDevice(client(), prompt => {
    refusing = decide(prompt, 'nobody')
  })
  await assert.rejects(login, { code: 'unauthenticated', detail: 'the sign-in was refused' })
  await refusing
})

test('waiting ends when the person gives up', async () => {
  const giveUp = new AbortController()
  const login = loginWithDevice(client(), () => giveUp.abort(new Error('ctrl-c')), giveUp.signal)
  await assert.rejects(login, /ctrl-c/)
})

test('P6: an issuer that is down, is another, or speaks plain HTTP from afar is a fault', async () => {
  const show = () => assert.fail('nothing to show')
  for (const issuer of [`${idp.issuer}/other`, 'http://idp.example.invalid', 'no address']) {
    await assert.rejects(loginWithDevice({ ...client(), issuer }, show), /issuer|valid/)
  }
  idp.outage(true)
  await assert.rejects(loginWithDevice(client(), show), { code: 'identity-unavailable' })
  idp.outage(false)
})
