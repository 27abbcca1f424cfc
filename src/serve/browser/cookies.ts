import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * The cookies. `__Host-` makes the browser hold them to this host, this scheme and the path `/`; browsers take the
 * `Secure` that it needs from plain HTTP on loopback, and nowhere else.
 */
export const sessionCookie = '__Host-sallyport'
/** A sign-in on its way. SAML answers are posted from another site, where `SameSite=Lax` cookies stay behind. */
export const pendingCookie = '__Host-sallyport-sign-in'

export function readCookie(request: IncomingMessage, name: string): string | undefined {
  const found = (request.headers.cookie ?? '')
    .split(';')
    .map(pair => pair.trim())
    .filter(pair => pair.startsWith(`${name}=`))
  // Two of one name: somebody planted one, and nobody can say which.
  return found.length === 1 ? found[0]!.slice(name.length + 1) : undefined
}

export function setCookie(
  response: ServerResponse,
  name: string,
  {
    value,
    site,
    maxAgeMs,
  }: { readonly value: string; readonly site: 'Lax' | 'None'; readonly maxAgeMs: number },
): void {
  const age = Math.max(0, Math.floor(maxAgeMs / 1000))
  response.appendHeader(
    'set-cookie',
    `${name}=${value}; Path=/; Max-Age=${age}; Secure; HttpOnly; SameSite=${site}`,
  )
}

export function clearCookie(response: ServerResponse, name: string): void {
  response.appendHeader('set-cookie', `${name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax`)
}
