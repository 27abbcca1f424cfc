import createClient from 'openapi-fetch'
import type { paths } from './schema.generated.ts'

/** A refusal of the gateway: RFC 9457 problem details. */
export class Problem extends Error {
  readonly status: number
  /** The stable code, such as `denied`. */
  readonly code: string
  readonly title: string
  /** The entry of the log that says more, where there is one. */
  readonly instance: string | undefined
  /** The body as it came, for problems that carry more than words. */
  readonly body: Readonly<Record<string, unknown>>

  constructor(status: number, body: Readonly<Record<string, unknown>>) {
    const title = typeof body['title'] === 'string' ? body['title'] : `The gateway answered ${status}`
    super(typeof body['detail'] === 'string' ? body['detail'] : title)
    this.status = status
    this.title = title
    this.code = typeof body['code'] === 'string' ? body['code'] : 'unknown'
    this.instance = typeof body['instance'] === 'string' ? body['instance'] : undefined
    this.body = body
  }
}

/** The token that a change must carry: a page of another site can send the cookie, and can't read this. */
let csrfToken = ''
export function setCsrfToken(token: string): void {
  csrfToken = token
}

export function csrfTokenInUse(): string {
  return csrfToken
}

/** Its own name, so that the gateway can tell a form of another site from this page. */
export const csrfHeader = 'x-sallyport-csrf'

export const api = createClient<paths>({ baseUrl: '', credentials: 'same-origin' })

api.use({
  onRequest({ request }) {
    if (request.method !== 'GET') request.headers.set(csrfHeader, csrfToken)
  },
})

interface Answer<T> {
  readonly data?: T
  readonly error?: unknown
  readonly response: Response
}

/** What the gateway answered; throws Problem where it refused. */
export async function unwrap<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked
  if (response.ok) return data as T
  const body = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {}
  throw new Problem(response.status, body)
}
