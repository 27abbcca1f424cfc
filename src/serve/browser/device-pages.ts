/**
 * `/auth/device`: a terminal asks to be let in (RFC 8628), and the person who signed in with this browser says yes or no.
 * What phishing lives on is shown before the answer (section 5.4): as whom, from where, since when, and that a code which
 * somebody sent is a trap.
 */
import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ClientFacts } from '../../audit/audit.ts'
import { GatewayError } from '../../errors.ts'
import type { BrowserSession } from '../../identity/sign-in/browser-sessions.ts'
import {
  deviceIntervalMs,
  deviceLastsMs,
  type WaitingDevice,
} from '../../identity/sign-in/device-sign-ins.ts'
import type { SignIn } from '../../identity/sign-in/sign-in.ts'
import { SignInRefused } from '../../identity/sign-in/sign-in-refused.ts'
import { displayName, subjectKey } from '../../model/subject.ts'
import { escapeHtml, protect, sendPage } from './auth-page.ts'
import { readCookie, sessionCookie } from './cookies.ts'
import { readFormBody } from './read-form.ts'
import { devicePage } from './return-address.ts'
import { isSameOrigin } from './same-origin.ts'
import { Tries } from './tries.ts'

export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const mostForm = 4096

export interface DeviceVisit {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly client: ClientFacts
}

export class DevicePages {
  readonly #signIn: SignIn
  readonly #publicUrl: () => string
  readonly #note: (client: ClientFacts, refused: SignInRefused) => Promise<void>
  readonly #begun = new Tries({ ofAddress: 200, ofName: 200 })
  readonly #looked = new Tries({ ofAddress: 200, ofName: 30 })

  constructor(of: {
    readonly signIn: SignIn
    readonly publicUrl: () => string
    /** Makes the entry of a sign-in that was refused. */
    readonly note: (client: ClientFacts, refused: SignInRefused) => Promise<void>
  }) {
    this.#signIn = of.signIn
    this.#publicUrl = of.publicUrl
    this.#note = of.note
  }

  /** `step` is what follows `/auth/device`. Throws for a request that is none of these. */
  async answer(visit: DeviceVisit, step: readonly string[]): Promise<void> {
    const asked = [visit.request.method, ...step].join(' ')
    if (asked === 'GET') return await this.#page(visit)
    if (asked === 'POST') return await this.#decide(visit)
    if (asked === 'POST authorize') return await this.#authorize(visit)
    if (asked === 'POST token') return await this.#token(visit)
    throw new GatewayError('not-found')
  }

  /** Section 3.1: a terminal begins. */
  async #authorize({ request, response, client }: DeviceVisit): Promise<void> {
    await readFormBody(request, mostForm)
    if (!this.#begun.may(client.ip, client.ip)) throw new GatewayError('too-many-requests')
    const begun = this.#signIn.devices.begin(client)
    if (begun === undefined) throw new GatewayError('too-many-requests')
    const page = `${this.#publicUrl().replace(/\/+$/, '')}${devicePage}`
    sendJson(response, 200, {
      device_code: begun.deviceCode,
      user_code: begun.userCode,
      verification_uri: page,
      verification_uri_complete: `${page}?user_code=${begun.userCode}`,
      expires_in: deviceLastsMs / 1000,
      interval: deviceIntervalMs / 1000,
    })
  }

  /** Section 3.4: a terminal asks what has become of it. */
  async #token({ request, response }: DeviceVisit): Promise<void> {
    const form = await readFormBody(request, mostForm)
    if (form.get('grant_type') !== deviceGrant)
      return sendJson(response, 400, { error: 'unsupported_grant_type' })
    const result = await this.#signIn.redeem(form.get('device_code') ?? '')
    if (result.state !== 'approved') return sendJson(response, 400, { error: errors[result.state] })
    sendJson(response, 200, {
      access_token: result.token,
      token_type: 'Bearer',
      expires_in: Math.max(1, Math.floor((result.expires - Date.now()) / 1000)),
    })
  }

  async #page({ request, response, url, client }: DeviceVisit): Promise<void> {
    const session = await this.#session(request)
    const code = url.searchParams.get('user_code') ?? ''
    if (session === undefined) return toSignIn(response, code)
    if (code === '') return askForCode(response)
    const waiting = this.#look(code, session, client)
    if (waiting === undefined) return askForCode(response, true)
    askToConfirm(response, { session, waiting, client })
  }

  async #decide({ request, response, client }: DeviceVisit): Promise<void> {
    if (!isSameOrigin(request))
      throw new GatewayError('denied', { detail: 'the request comes from another site' })
    const form = await readFormBody(request, mostForm)
    const code = form.get('user_code') ?? ''
    const session = await this.#session(request)
    if (session === undefined) return toSignIn(response, code)
    if (!isSame(form.get('csrf') ?? '', session.csrf))
      throw new GatewayError('denied', { detail: 'the page is of another session: open it again' })
    if (this.#look(code, session, client) === undefined) return askForCode(response, true)
    const { subject, provider } = session
    const allowed = form.get('decision') === 'allow'
    const decided = this.#signIn.devices.decide(
      code,
      allowed ? { subject, provider, from: client } : 'refused',
    )
    if (decided === undefined) return askForCode(response, true)
    if (!allowed) {
      // An entry: somebody may be trying.
      await this.#note(
        decided.client,
        new SignInRefused('device-refused', `${displayName(subject)} let no terminal in`),
      )
      return sendPage(response, {
        title: 'Refused',
        body: '<p>The terminal was not let in. You can close this page.</p>',
      })
    }
    sendPage(response, {
      title: 'Signed in',
      body: '<p>Your terminal is signed in. You can close this page.</p><p class="soft">Signing out everywhere, in the console, ends it too.</p>',
    })
  }

  #look(code: string, { subject }: BrowserSession, client: ClientFacts): WaitingDevice | undefined {
    if (!this.#looked.may(client.ip, subjectKey(subject))) throw new GatewayError('too-many-requests')
    return this.#signIn.devices.find(code)
  }

  async #session(request: IncomingMessage): Promise<BrowserSession | undefined> {
    const cookie = readCookie(request, sessionCookie)
    return cookie === undefined ? undefined : await this.#signIn.find(cookie)
  }
}

/** Section 3.5. */
const errors = {
  pending: 'authorization_pending',
  'slow-down': 'slow_down',
  refused: 'access_denied',
  expired: 'expired_token',
} as const

function askForCode(response: ServerResponse, wrong = false): void {
  sendPage(response, {
    status: wrong ? 404 : 200,
    title: 'Sign in a terminal',
    body: `${wrong ? '<p class="wrong" role="alert">No terminal waits with that code. Codes last ten minutes and work once.</p>' : ''}
<form method="get" action="${devicePage}"><label>The code that your terminal shows<input name="user_code" class="code" autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="16" required autofocus></label><button>Continue</button></form>`,
  })
}

function askToConfirm(
  response: ServerResponse,
  of: { readonly session: BrowserSession; readonly waiting: WaitingDevice; readonly client: ClientFacts },
): void {
  const { session, waiting, client } = of
  const who = escapeHtml(displayName(session.subject))
  const from = escapeHtml(waiting.client.ip)
  const ago = Math.max(0, Math.round((Date.now() - waiting.asked) / 1000))
  const elsewhere =
    waiting.client.ip === client.ip
      ? ''
      : `<p class="wrong" role="alert">That is not the address of this browser (${escapeHtml(client.ip)}).</p>
<label class="check"><input type="checkbox" required><span>I see this code on my own terminal right now.</span></label>`
  sendPage(response, {
    title: 'Let a terminal in as you?',
    body: `<p>It will act as <strong>${who}</strong>, with all that you may do here.</p>
<p class="code" aria-label="Code">${escapeHtml(waiting.userCode)}</p>
<p>Asked ${ago} seconds ago, from ${from}.</p>
<p><strong>Only if you ran <code>sallyport login</code> yourself, just now,</strong> and your terminal shows this code. Nobody from your company or from support will ever send you one: who did wants to act in your name.</p>
<form method="post" action="${devicePage}"><input type="hidden" name="csrf" value="${escapeHtml(session.csrf)}"><input type="hidden" name="user_code" value="${escapeHtml(waiting.userCode)}">
${elsewhere}<button name="decision" value="allow">This is my terminal: let it in</button><button name="decision" value="refuse" class="plain" formnovalidate>Refuse</button></form>`,
  })
}

function toSignIn(response: ServerResponse, code: string): void {
  const back = code === '' ? devicePage : `${devicePage}?user_code=${encodeURIComponent(code.slice(0, 16))}`
  protect(response)
  response.statusCode = 303
  response.setHeader('location', `/auth/login?return_to=${encodeURIComponent(back)}`)
  response.end()
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  protect(response)
  response.statusCode = status
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(body))
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)]
  return a.length === b.length && timingSafeEqual(a, b)
}
