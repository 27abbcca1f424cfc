import type { Claims } from './jwt.ts'

/**
 * The value of a claim, or undefined. `path` is the claim's whole name if there is one of that name
 * (`https://example.com/groups`), else a JSON pointer (RFC 6901: `/kubernetes.io/namespace`), else a dotted path
 * (`realm_access.roles`). Never reaches inherited members.
 */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  const steps = path.startsWith('/')
    ? path
        .slice(1)
        .split('/')
        .map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    : path.split('.')
  let value: unknown = claims
  for (const step of steps) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string, unknown>)[step]
  }
  return value
}

/** Whether a claim is one of the values, or is a list that holds one. */
export function claimIsOneOf(value: unknown, wanted: readonly unknown[]): boolean {
  return Array.isArray(value) ? value.some(each => wanted.includes(each)) : wanted.includes(value)
}

/** A text fit to identify or to show: well-formed, without control characters, of bounded length. */
export function isPlainText(value: unknown, maxLength: number): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= maxLength &&
    value.isWellFormed() &&
    !/\p{Cc}/u.test(value)
  )
}
