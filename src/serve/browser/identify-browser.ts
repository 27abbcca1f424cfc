import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Identify } from '../../api/handler.ts'
import type { Caller, Role } from '../../api/route.ts'
import { GatewayError } from '../../errors.ts'
import type { BrowserSession } from '../../identity/sign-in/browser-sessions.ts'
import type { Subject } from '../../model/subject.ts'
import { readCookie, sessionCookie } from './cookies.ts'
import { isSameOrigin } from './same-origin.ts'

export const csrfHeader = 'x-sallyport-csrf'

/**
 * Callers with a browser: the session of their cookie. What changes something has to bring the session's token in a
 * header, which no other site can set, and to come from a page of this origin. An `Authorization` header goes first.
 */
export function identifyByCookie(parts: {
  readonly find: (cookie: string) => Promise<BrowserSession | undefined>
  readonly rolesOf: (subject: Subject) => ReadonlySet<Role>
  readonly otherwise: Identify
}): Identify {
  return async request => {
    const cookie = readCookie(request, sessionCookie)
    if (cookie === undefined || request.headers.authorization !== undefined) return parts.otherwise(request)
    const session = await parts.find(cookie)
    if (session === undefined) throw new GatewayError('unauthenticated')
    checkForgery(request, session)
    const { subject, csrf, expires, ended } = session
    const caller: Caller = {
      subject,
      roles: parts.rolesOf(subject),
      browser: { csrf, expiresAt: expires },
      ended,
    }
    return caller
  }
}

/** Throws `denied` for a request that another site may have made the browser send. */
export function checkForgery(request: IncomingMessage, { csrf }: BrowserSession): void {
  if (!isSameOrigin(request))
    throw new GatewayError('denied', { detail: 'the request comes from another site' })
  if (request.method === 'GET' || request.method === 'HEAD') return
  const given = Buffer.from(String(request.headers[csrfHeader] ?? ''))
  const wanted = Buffer.from(csrf)
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
    throw new GatewayError('denied', { detail: `the header ${csrfHeader} is missing or wrong` })
}
