/** A denial or a fault in HTTP's own form: a problem document (RFC 9457) that native clients can show. */
import { errorKinds, type ErrorCode, type GatewayError } from '../../errors.ts'
import type { Denial, PendingApproval } from '../../gateway/exchange.ts'
import { wwwAuthenticate } from '../../identity/www-authenticate.ts'
import type { Downstream } from './downstream.ts'
import type { Flavour, Problem } from './flavour.ts'

/** Base of problem types; the page of that address describes the code. */
export const problemTypes = 'https://sallyport.dev/errors/'

/** What is sent: status, headers (flat) and body. */
export interface Refused {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: Buffer
  /** Default `application/problem+json`. */
  readonly type?: string
}

/** What a denial is told with. */
export interface Telling {
  readonly flavour: Flavour | undefined
  /** The id of the entry that holds it; absent where it was told at the address of an approval. */
  readonly instance?: string
  /** Where the client can follow its approval. */
  readonly url?: string
  /** Where the client learns who gives it tokens (RFC 9728). */
  readonly metadata?: string | undefined
  /** Told at the address of an approval: what is used up is gone from there. */
  readonly followed?: boolean
}

/** How a policy denial, a rate limit or a wait for people is told. */
export function denied(denial: Denial, { flavour, instance, url, followed, metadata }: Telling): Refused {
  const { approval } = denial
  const code: ErrorCode = approval === undefined ? codeOf(denial) : 'approval-pending'
  const later = approval?.then === 'retry-later'
  const wait = approval?.retryAfterMs ?? denial.retryAfterMs
  const seconds = wait === undefined ? undefined : Math.max(1, Math.ceil(wait / 1000))
  const used = followed === true && denial.reason === 'approval-used'
  const status = later ? 429 : used ? 410 : errorKinds[code].status
  const headers = seconds === undefined ? [] : ['Retry-After', String(seconds)]
  if (denial.scopes !== undefined) headers.push('WWW-Authenticate', stepUp(denial.scopes, metadata))
  // Clients that wait for a quota to refill read this name, in seconds, rather than Retry-After.
  if (status === 429 && seconds !== undefined) headers.push('X-RateLimit-Reset', String(seconds))
  if (later) headers.push('X-RateLimit-Limit', '1', 'X-RateLimit-Remaining', '0')
  if (later && seconds !== undefined) headers.push('X-RateLimit-Period', String(seconds))
  return problem(
    {
      status,
      title: errorKinds[code].title,
      detail: denial.message ?? words(denial),
      code,
      ...(instance === undefined ? {} : { instance }),
      reason: denial.reason,
      ...(denial.rule === undefined ? {} : { rule: denial.rule }),
      ...(approval === undefined
        ? {}
        : { approval: approvalMember(approval, url, later ? wordsLater : wordsAgain) }),
    },
    { flavour, headers },
  )
}

const wordsAgain = 'Send the same request again.'
const wordsLater = 'Send the same request again after the time in Retry-After.'
const wordsPoll = 'Send GET to url, with Prefer: wait=<seconds> to wait there, until it gives the answer.'

/** The state of an approval where there is no call to answer with: 202 to come back, 200 to send the call again. */
export function approvalStatus(
  approval: Pick<PendingApproval, 'id' | 'state' | 'expiresAt' | 'retryAfterMs'>,
  told: {
    readonly status: 200 | 202
    readonly url: string
    readonly path: string
    readonly instance?: string
    /** The client asked for this with `Prefer: respond-async`. */
    readonly preferred?: boolean
  },
): Refused {
  const { status, url, path, instance, preferred } = told
  const headers = status === 200 ? [] : ['Location', path, 'Retry-After', secondsOf(approval.retryAfterMs)]
  if (preferred === true) headers.push('Preference-Applied', 'respond-async')
  const members = {
    status,
    title: approval.state === 'pending' ? errorKinds['approval-pending'].title : 'Approved',
    code: approval.state === 'pending' ? 'approval-pending' : 'approved',
    ...(instance === undefined ? {} : { instance }),
    approval: approvalMember(approval, url, status === 200 ? wordsAgain : wordsPoll),
  }
  const body = Buffer.from(`${JSON.stringify(members)}\n`)
  return { status, headers, body, type: 'application/json' }
}

function approvalMember(
  { id, state, expiresAt }: Pick<PendingApproval, 'id' | 'state' | 'expiresAt'>,
  url: string | undefined,
  how: string,
): Record<string, unknown> {
  const expires = new Date(expiresAt).toISOString()
  return { id, state, expires, ...(url === undefined ? {} : { url }), how }
}

function secondsOf(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1000)))
}

/** How a fault is told: its code and detail, never its cause. */
export function faulted(
  error: GatewayError,
  instance: string | undefined,
  flavour: Flavour | undefined,
): Refused {
  const headers: string[] = []
  if (error.status === 503) headers.push('Retry-After', '1')
  if (error.code === 'method-not-allowed')
    headers.push('Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
  return problem(
    {
      status: error.status,
      title: error.title,
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      code: error.code,
      ...(instance === undefined ? {} : { instance }),
    },
    { flavour, headers },
  )
}

/** With a token of these scopes it would be let pass (RFC 6750 section 3.1). */
export function stepUp(scopes: readonly string[], metadata: string | undefined): string {
  return wwwAuthenticate('sallyport', 'insufficient_scope', {
    scope: scopes.join(' '),
    ...(metadata === undefined ? {} : { resource_metadata: metadata }),
  })
}

/** 401: says that a credential is needed, and nothing of why the one given was not taken (RFC 6750 section 3). */
export function unauthenticated(
  presented: boolean,
  flavour: Flavour | undefined,
  metadata: string | undefined,
): Refused {
  const { status, title } = errorKinds.unauthenticated
  const more = metadata === undefined ? {} : { resource_metadata: metadata }
  const challenge = wwwAuthenticate('sallyport', presented ? 'invalid_token' : undefined, more)
  return problem(
    { status, title, code: 'unauthenticated' },
    { flavour, headers: ['WWW-Authenticate', challenge] },
  )
}

/** Sends it. `close` also ends the connection, for a request whose end is not known. */
export function sendRefused(downstream: Downstream, refused: Refused, close: boolean): void {
  if (downstream.gone) return
  const { status, body } = refused
  const headers = [
    'Content-Type',
    refused.type ?? 'application/problem+json',
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
    ...refused.headers,
  ]
  if (close) headers.push('Connection', 'close')
  downstream.head(status, '', headers)
  if (downstream.request.method === 'HEAD') downstream.end()
  else downstream.end(body)
}

/** After a head that can't be trusted, or a body that was not read, nobody knows where the next request begins. */
export function endsConnection(fault: GatewayError): boolean {
  return fault.code === 'shutting-down' || [400, 408, 413, 414, 415, 431].includes(fault.status)
}

function problem(
  members: Problem,
  how: { readonly flavour: Flavour | undefined; readonly headers: readonly string[] },
): Refused {
  const document = {
    type: `${problemTypes}${members.code}`,
    ...members,
    ...how.flavour?.problemMembers?.(members),
  }
  return { status: members.status, headers: how.headers, body: Buffer.from(`${JSON.stringify(document)}\n`) }
}

/** What passes after a while was not refused for what it is. */
function codeOf({ retryAfterMs }: Denial): ErrorCode {
  return retryAfterMs === undefined ? 'denied' : 'too-many-requests'
}

function words(denial: Denial): string {
  return denial.rule === undefined
    ? `No rule allows this (${denial.reason}).`
    : `The rule "${denial.rule}" decided this (${denial.reason}).`
}
