import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Whether a browser would take the answer for a page, a frame or a script. What an upstream says must not become that
 * at the gateway's own origin, where the console's session is: it could act in the name of whoever looks at it. Programs
 * do not send this header, and a script's own requests say `empty`.
 */
export function wantsPage(request: IncomingMessage): boolean {
  const wanted = request.headers['sec-fetch-dest']
  return wanted !== undefined && wanted !== 'empty' && wanted !== 'websocket'
}

export function refusePage(_request: IncomingMessage, response: ServerResponse): void {
  response.statusCode = 403
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('cache-control', 'no-store')
  response.end('A browser does not open an upstream here: it would share the origin of the console.\n')
}
