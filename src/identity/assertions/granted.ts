/** What of an assertion a token is for: addresses (RFC 8707) and scopes (RFC 6749 section 3.3). */
import type { Claims } from '../jwt.ts'
import type { GrantPlace } from './assertion-grants.ts'

const mostResources = 16

/**
 * The addresses that the token is for: those that the assertion names, or of these the ones that are asked for. Undefined
 * where it names none, one is not here, or one that is asked for is not among them.
 */
export function grantedResources(
  { resource }: Claims,
  asked: readonly string[],
  place: GrantPlace,
): readonly string[] | undefined {
  const named: unknown[] = Array.isArray(resource) ? resource : [resource]
  if (named.length === 0 || named.length > mostResources) return undefined
  if (!named.every(each => typeof each === 'string')) return undefined
  const wanted = asked.length === 0 ? named : asked
  const granted = wanted.every(each => named.includes(each) && place.isResource(each))
  return granted ? [...new Set(wanted)] : undefined
}

/** The scope of the token: the assertion's, or the part of it that is asked for. Undefined where it allows less. */
export function grantedScope(
  { scope }: Claims,
  asked: string | null,
): { readonly scope: string | undefined } | undefined {
  if (scope !== undefined && typeof scope !== 'string') return undefined
  if (asked === null) return { scope }
  const held = new Set(scopesIn(scope ?? ''))
  const wanted = scopesIn(asked)
  return wanted.every(each => held.has(each)) ? { scope: wanted.join(' ') } : undefined
}

function scopesIn(text: string): string[] {
  return text.split(' ').filter(each => each !== '')
}
