/** Codes of RFC 6750 section 3.1. */
export type BearerError = 'invalid_request' | 'invalid_token' | 'insufficient_scope'

/**
 * The `WWW-Authenticate` of a 401 or 403 (RFC 6750 section 3). Without `error` where no credential was presented at
 * all, as section 3.1 asks. Says nothing about why. `resource_metadata` is that of RFC 9728 section 5.1.
 */
export function wwwAuthenticate(
  realm: string,
  error?: BearerError,
  more: { readonly scope?: string; readonly resource_metadata?: string } = {},
): string {
  const parts: [string, string | undefined][] = [
    ['realm', realm],
    ['error', error],
    ['scope', more.scope],
    ['resource_metadata', more.resource_metadata],
  ]
  const written = parts.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quoted(value)}`]))
  return `Bearer ${written.join(', ')}`
}

/** A quoted-string (RFC 9110 section 5.6.4), without what could end the header. */
function quoted(text: string): string {
  return `"${text.replaceAll(/[^\x20-\x7e]/g, '').replaceAll(/["\\]/g, '\\$&')}"`
}
