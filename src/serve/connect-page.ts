/**
 * The pages of a person's consent to an upstream: `/connect/<connection>` leads there, `/connect/callback` is where the
 * authorization server sends the browser back to. A browser that the gateway knows is led all the way; for one that it
 * does not know the person confirms with the code of the page, where they are signed in.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Identify } from '../api/handler.ts'
import type { Services } from '../api/services.ts'
import { callbackPath } from '../credentials/oauth/upstream-grants.ts'
import { asGatewayError } from '../errors.ts'
import type { Subject } from '../model/subject.ts'

interface Parts {
  readonly services: Pick<Services, 'upstreamGrants'>
  readonly identify: Identify
}

/** Never rejects. */
export async function connectPage(
  parts: Parts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    if (request.method !== 'GET') return page(response, 405, ['Not here', 'This page is for reading.'])
    const [path = '', search = ''] = (request.url ?? '').split(/(?=\?)/, 2)
    if (path === callbackPath) return await callback(parts, { request, response, search })
    await lead(parts, { request, response, connection: path.slice('/connect/'.length) })
  } catch (error) {
    const { status, title, detail } = asGatewayError(error)
    page(response, status, [title, detail ?? 'Begin again.'])
  }
}

async function lead(
  { services, identify }: Parts,
  {
    request,
    response,
    connection,
  }: { request: IncomingMessage; response: ServerResponse; connection: string },
): Promise<void> {
  if (!/^[a-z0-9-]{1,63}$/.test(connection))
    return page(response, 404, ['Nothing here', 'No such connection.'])
  const subject = await known(identify, request)
  if (subject === undefined)
    return page(response, 401, [
      'Sign in first',
      'Where you are signed in, run:',
      `sallyport connections authorize ${connection}`,
    ])
  const { url } = await services.upstreamGrants.begin(subject, connection)
  response.writeHead(303, { location: url, ...closed }).end()
}

async function callback(
  { services, identify }: Parts,
  { request, response, search }: { request: IncomingMessage; response: ServerResponse; search: string },
): Promise<void> {
  const answered = await services.upstreamGrants.answered(search, await known(identify, request))
  if (answered === undefined)
    return page(response, 400, [
      'Not valid any more',
      'This was used, is too old, or was not begun by you. Begin again.',
    ])
  if (answered.confirmation === undefined)
    return page(response, 200, [
      'Done',
      `The gateway may use ${answered.connection} in your name. You can close this page.`,
    ])
  page(response, 200, [
    'One more step',
    `Confirm that it was you who began this for ${answered.connection}. Give this code to nobody who sent you here:`,
    answered.confirmation,
  ])
}

/** Who the browser belongs to, where it shows a credential. */
async function known(identify: Identify, request: IncomingMessage): Promise<Subject | undefined> {
  return await identify(request).then(
    ({ subject }) => subject,
    () => undefined,
  )
}

/** Nothing of it is kept, framed, sent on as a referrer, or run. */
const closed = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

function page(
  response: ServerResponse,
  status: number,
  [title, text, code]: readonly [string, string, string?],
): void {
  const shown = code === undefined ? '' : `<p><code>${escape(code)}</code></p>`
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', ...closed })
  response.end(
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
      `<title>${escape(title)}</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;` +
      `padding:0 1rem;color:#1c2024;background:#fff}code{font-size:1.4rem;background:#f0f0f3;padding:.4rem .7rem;` +
      `border-radius:.4rem}@media(prefers-color-scheme:dark){body{color:#edeef0;background:#111113}code{background:#272a2d}}` +
      `</style><h1>${escape(title)}</h1><p>${escape(text)}</p>${shown}</html>`,
  )
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, each => `&#${each.charCodeAt(0)};`)
}
