/** Applications that have a secret with the gateway's token endpoint (RFC 6749 section 2.3.1). */
import { timingSafeEqual } from 'node:crypto'
import type { AssertionsConfig } from '../../config/assertions.ts'
import { sha256 } from '../../sha256.ts'

export type TokenClientConfig = AssertionsConfig['clients'][number]

export interface TokenClient {
  readonly config: TokenClientConfig
  /** Throws GatewayError where the secret can't be read. */
  secret(): string | Promise<string>
}

const leastSecret = 24

/**
 * The client that a request is from, by HTTP Basic or in the form, one of the two. Undefined where it is not known, its
 * secret is wrong, or both ways are used at once.
 */
export async function authenticateClient(
  clients: ReadonlyMap<string, TokenClient>,
  form: URLSearchParams,
  authorization: string | undefined,
): Promise<TokenClientConfig | undefined> {
  const shown = authorization === undefined ? inForm(form) : inHeader(form, authorization)
  const client = shown === undefined ? undefined : clients.get(shown.id)
  if (shown === undefined || client === undefined) return undefined
  const secret = await client.secret()
  // A short one could be guessed, and an empty one is a mistake of the configuration.
  if (secret.length < leastSecret || !same(secret, shown.secret)) return undefined
  return client.config
}

interface Shown {
  readonly id: string
  readonly secret: string
}

function inForm(form: URLSearchParams): Shown | undefined {
  const id = form.get('client_id')
  const secret = form.get('client_secret')
  return id === null || secret === null ? undefined : { id, secret }
}

/** Both halves are form-encoded before they are base64. */
function inHeader(form: URLSearchParams, authorization: string): Shown | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1]
  if (encoded === undefined || form.has('client_secret')) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const id = decoded(text.slice(0, colon))
  const secret = decoded(text.slice(colon + 1))
  const named = form.get('client_id')
  return id === undefined || secret === undefined || (named !== null && named !== id)
    ? undefined
    : { id, secret }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

function same(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b))
}
