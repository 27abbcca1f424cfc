import type { IncomingMessage } from 'node:http'

/**
 * Whether a browser's request comes from a page of this very origin. Subdomains are other origins, and the connections
 * that live there are not trusted. Browsers send `Sec-Fetch-Site` wherever they send these cookies; one that does not
 * sends `Origin` with what changes something. A form on a page without a referrer says `null` there, as pages of no origin
 * do too: then `Sec-Fetch-Site` has to say it.
 */
export function isSameOrigin(request: IncomingMessage): boolean {
  const { origin, host } = request.headers
  const authority = host ?? (request.headers as Record<string, unknown>)[':authority']
  const site = request.headers['sec-fetch-site']
  if (origin === 'null') return site === 'same-origin'
  if (origin !== undefined && URL.parse(origin)?.host !== authority) return false
  if (site !== undefined) return site === 'same-origin' || (site === 'none' && isRead(request))
  return origin !== undefined || isRead(request)
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD'
}
