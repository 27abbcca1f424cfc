/** `/auth/...`: where browsers set out to a provider, come back from it, and where people with a password sign in. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ClientFacts } from '../../audit/audit.ts'
import { asGatewayError, GatewayError } from '../../errors.ts'
import type { SignedIn, SignIn } from '../../identity/sign-in/sign-in.ts'
import { terminalSecret } from '../../identity/sign-in/terminal-sessions.ts'
import { SignInRefused } from '../../identity/sign-in/sign-in-refused.ts'
import type { Logger } from '../../log.ts'
import type { RefusedIdentities } from '../../protocols/refused-identities.ts'
import { escapeHtml, protect, sendPage } from './auth-page.ts'
import { clearCookie, pendingCookie, readCookie, sessionCookie, setCookie } from './cookies.ts'
import { checkForgery } from './identify-browser.ts'
import { readFormBody } from './read-form.ts'
import { returnAddress } from './return-address.ts'
import { isSameOrigin } from './same-origin.ts'
import { DevicePages } from './device-pages.ts'
import { Tries } from './tries.ts'

export interface AuthPagesParts {
  readonly signIn: SignIn
  readonly refused: RefusedIdentities
  readonly logger: Logger
  /** The gateway's address for browsers. */
  readonly publicUrl: () => string
}

interface Visit {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly client: ClientFacts
  /** The parts of the path below `/auth/`. */
  readonly rest: readonly string[]
}

const pendingLastsMs = 10 * 60_000
const mostForm = 400 * 1024

/** Answers every request below `/auth`. Never rejects. */
export function createAuthPages(parts: AuthPagesParts) {
  const pages = new AuthPages(parts)
  return (request: IncomingMessage, response: ServerResponse): void => void pages.answer(request, response)
}

class AuthPages {
  readonly #of: AuthPagesParts
  readonly #tries = new Tries({ ofAddress: 50, ofName: 10 })
  readonly #device: DevicePages

  constructor(of: AuthPagesParts) {
    this.#of = of
    const { signIn, publicUrl } = of
    this.#device = new DevicePages({
      signIn,
      publicUrl,
      note: (client, refused) => this.#note(client, refused),
    })
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { remoteAddress: ip = '', remotePort: port = 0 } = request.socket
    const url = new URL(request.url ?? '/', 'http://gateway.invalid')
    const client = { ip, port }
    const visit: Visit = { request, response, url, client, rest: url.pathname.split('/').slice(2) }
    try {
      await this.#route(visit)
    } catch (error) {
      await this.#failed(visit, error)
    }
  }

  async #route(visit: Visit): Promise<void> {
    const { request, rest } = visit
    const [page, id = '', step = ''] = rest
    const asked = `${request.method} ${page}`
    if (asked === 'GET login' && rest.length === 1) return this.#choose(visit)
    if (asked === 'GET oidc' && rest.length === 2) return await this.#begin(visit, id, 'oidc')
    if (asked === 'GET saml' && rest.length === 2) return await this.#begin(visit, id, 'saml')
    if (asked === 'GET oidc' && step === 'callback' && rest.length === 3)
      return await this.#oidcAnswer(visit, id)
    if (asked === 'POST saml' && step === 'acs' && rest.length === 3) return await this.#samlAnswer(visit, id)
    if (asked === 'GET saml' && step === 'metadata' && rest.length === 3)
      return await this.#metadata(visit, id)
    if (asked === 'GET local' && rest.length === 1) return this.#passwordPage(visit)
    if (asked === 'POST local' && rest.length === 1) return await this.#password(visit)
    if (asked === 'GET invite' && rest.length === 2) return await this.#invitePage(visit, id)
    if (asked === 'POST invite' && rest.length === 2) return await this.#invite(visit, id)
    if (page === 'device') return await this.#device.answer(visit, rest.slice(1))
    if (asked === 'POST sign-out' && rest.length === 1) return await this.#signOut(visit)
    throw new GatewayError('not-found')
  }

  #choose({ response, url }: Visit): void {
    const to = encodeURIComponent(returnAddress(url.searchParams.get('return_to')))
    const ways = this.#of.signIn
      .providers()
      .map(
        each => `<a class="way" href="${escapeHtml(each.url)}?return_to=${to}">${escapeHtml(each.label)}</a>`,
      )
    const none = '<p>Nobody can sign in here: the configuration names no provider.</p>'
    sendPage(response, {
      title: 'Sign in to Sallyport',
      body: `<div class="ways">${ways.join('') || none}</div>`,
    })
  }

  async #begin(visit: Visit, id: string, kind: 'oidc' | 'saml'): Promise<void> {
    const { request, response, url } = visit
    // The answer comes to the configured address, and so the cookie has to be set there.
    const home = new URL(this.#of.publicUrl())
    if (isLoopback(home.hostname) && request.headers.host !== home.host)
      return redirect(response, `${home.origin}${url.pathname}${url.search}`)
    const begun = await this.#of.signIn.begin(id, kind, returnAddress(url.searchParams.get('return_to')))
    const site = kind === 'saml' ? 'None' : 'Lax'
    setCookie(response, pendingCookie, { value: begun.cookie, site, maxAgeMs: pendingLastsMs })
    redirect(response, begun.url)
  }

  async #oidcAnswer({ request, response, url, client }: Visit, id: string): Promise<void> {
    const cookie = readCookie(request, pendingCookie) ?? ''
    clearCookie(response, pendingCookie)
    const signedIn = await this.#of.signIn.finishOidc(id, url.search, { cookie, client })
    await this.#welcome(request, response, signedIn)
  }

  async #samlAnswer({ request, response, client }: Visit, id: string): Promise<void> {
    const form = await readFormBody(request, mostForm)
    const cookie = readCookie(request, pendingCookie) ?? ''
    clearCookie(response, pendingCookie)
    const signedIn = await this.#of.signIn.finishSaml(id, form.get('SAMLResponse') ?? '', { cookie, client })
    await this.#welcome(request, response, signedIn)
  }

  async #metadata({ response }: Visit, id: string): Promise<void> {
    const metadata = await this.#of.signIn.metadata(id)
    protect(response)
    response.setHeader('content-type', 'application/samlmetadata+xml')
    response.end(metadata)
  }

  #passwordPage({ response, url }: Visit, wrong = false): void {
    if (!this.#of.signIn.providers().some(each => each.kind === 'local')) throw new GatewayError('not-found')
    const to = escapeHtml(returnAddress(url.searchParams.get('return_to')))
    sendPage(response, {
      status: wrong ? 401 : 200,
      title: 'Sign in to Sallyport',
      body: `${wrong ? '<p class="wrong" role="alert">That is no e-mail address and password of this gateway.</p>' : ''}
<form method="post" action="/auth/local?return_to=${encodeURIComponent(returnAddress(url.searchParams.get('return_to')))}">
<label>E-mail address<input name="email" type="email" autocomplete="username" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>
<input type="hidden" name="return_to" value="${to}"><button>Sign in</button></form>`,
    })
  }

  async #password(visit: Visit): Promise<void> {
    const { request, response, client, url } = visit
    if (!isSameOrigin(request))
      throw new GatewayError('denied', { detail: 'the request comes from another site' })
    const form = await readFormBody(request, mostForm)
    const email = (form.get('email') ?? '').trim().toLowerCase()
    if (!this.#tries.may(client.ip, email)) throw new GatewayError('too-many-requests')
    try {
      const signedIn = await this.#of.signIn.withPassword(email, form.get('password') ?? '', client)
      this.#tries.good(email)
      const returnTo = returnAddress(url.searchParams.get('return_to'))
      await this.#welcome(request, response, { ...signedIn, returnTo })
    } catch (error) {
      if (!(error instanceof SignInRefused)) throw error
      await this.#note(client, error)
      this.#passwordPage(visit, true)
    }
  }

  async #invitePage({ response }: Visit, secret: string, problem?: string): Promise<void> {
    const email = await this.#of.signIn.users.invited(secret)
    if (email === undefined) throw new SignInRefused('link-invalid', 'invitation')
    sendPage(response, {
      status: problem === undefined ? 200 : 400,
      title: 'Choose a password',
      body: `${problem === undefined ? '' : `<p class="wrong" role="alert">${escapeHtml(problem)}</p>`}
<form method="post"><label>E-mail address<input value="${escapeHtml(email)}" autocomplete="username" readonly></label>
<label>Password (12 characters at least)<input name="password" type="password" autocomplete="new-password" minlength="12" maxlength="200" required autofocus></label>
<button>Keep it and sign in</button></form>`,
    })
  }

  async #invite(visit: Visit, secret: string): Promise<void> {
    const { request, response, client } = visit
    if (!isSameOrigin(request))
      throw new GatewayError('denied', { detail: 'the request comes from another site' })
    const form = await readFormBody(request, mostForm)
    try {
      const signedIn = await this.#of.signIn.withInvite(secret, form.get('password') ?? '', client)
      await this.#welcome(request, response, { ...signedIn, returnTo: returnAddress(undefined) })
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'invalid-request') throw error
      await this.#invitePage(visit, secret, error.detail)
    }
  }

  async #signOut({ request, response, url }: Visit): Promise<void> {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const use = token === undefined ? 'browser' : 'terminal'
    const secret = token === undefined ? readCookie(request, sessionCookie) : terminalSecret(token)
    const session = secret === undefined ? undefined : await this.#of.signIn.find(secret, use)
    if (session !== undefined) {
      // A header like that is sent by no browser unasked.
      if (use === 'browser') checkForgery(request, session)
      await this.#of.signIn.signOut(session, url.searchParams.get('everywhere') === 'true')
    }
    protect(response)
    clearCookie(response, sessionCookie)
    response.setHeader('clear-site-data', '"cache", "storage"')
    response.statusCode = 204
    response.end()
  }

  /** A fresh session takes the place of the one that the browser had: nobody can have planted it beforehand. */
  async #welcome(request: IncomingMessage, response: ServerResponse, signedIn: SignedIn): Promise<void> {
    const before = readCookie(request, sessionCookie)
    const old = before === undefined ? undefined : await this.#of.signIn.sessions.find(before)
    if (old !== undefined) await this.#of.signIn.sessions.end(old)
    const { cookie, expires, returnTo } = signedIn
    setCookie(response, sessionCookie, { value: cookie, site: 'Lax', maxAgeMs: expires - Date.now() })
    redirect(response, returnTo)
  }

  async #note(client: ClientFacts, { reason, detail }: SignInRefused): Promise<void> {
    this.#of.logger.warn('a sign-in was refused', { reason, detail, ip: client.ip })
    await this.#of.refused.note(client, { reason })
  }

  async #failed(visit: Visit, error: unknown): Promise<void> {
    const { response } = visit
    if (error instanceof SignInRefused) {
      // Where it can't be noted it is refused all the same.
      await this.#note(visit.client, error).catch(() => undefined)
      return fault(
        response,
        403,
        'This sign-in did not work. Begin again, and ask who runs the gateway if it stays so.',
      )
    }
    const known = asGatewayError(error)
    if (known.code === 'internal') this.#of.logger.error('sign-in', { error: String(error) })
    fault(response, known.status, known.detail ?? known.title)
  }
}

function fault(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return void response.destroy()
  const again = '<p><a href="/auth/login">Sign in</a></p>'
  sendPage(response, { status, title: 'Sallyport', body: `<p>${escapeHtml(text)}</p>${again}` })
}

function redirect(response: ServerResponse, to: string): void {
  protect(response)
  response.statusCode = 303
  response.setHeader('location', to)
  response.end()
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
}
