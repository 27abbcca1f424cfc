/**
 * What an answer says of the target's rate limit, in the headers that Datadog, GitHub and many others use:
 * `X-RateLimit-Limit`, `-Remaining`, `-Reset` (seconds from now, or since the epoch), `-Period` (seconds) and `-Name`.
 */
import type { Connection } from '../../model/connection.ts'
import type { ToldQuota } from '../../policy/fair-shares.ts'

const longestSeconds = 24 * 3600
/** A number of seconds beyond this is a date. */
const epochBegins = 1_000_000_000
const highest = 1_000_000_000

/** Undefined where there is none, or it makes no sense. `headers`: names and values in turn. */
export function toldQuota(headers: readonly string[], now: number): ToldQuota | undefined {
  const found = new Map<string, string>()
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase()
    if (!name.startsWith('x-ratelimit-')) continue
    // Told twice, it says nothing.
    if (found.has(name)) return undefined
    found.set(name, headers[i + 1]!.trim())
  }
  const number = (name: string): number | undefined => wholeNumber(found.get(`x-ratelimit-${name}`))
  const limit = number('limit')
  const remaining = number('remaining')
  const reset = number('reset')
  if (limit === undefined || remaining === undefined || reset === undefined) return undefined
  if (limit < 1 || limit > highest || remaining > limit) return undefined
  const seconds = reset >= epochBegins ? Math.ceil(reset - now / 1000) : reset
  if (seconds < 0 || seconds > longestSeconds) return undefined
  const period = number('period')
  const name = found.get('x-ratelimit-name')
  return {
    limit,
    remaining,
    resetMs: seconds * 1000,
    ...(period === undefined || period < 1 || period > longestSeconds ? {} : { windowMs: period * 1000 }),
    ...(name === undefined || !/^[\w.:-]{1,64}$/.test(name) ? {} : { name }),
  }
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined
}

/** Whether each person calls with a credential of their own: then the limits are their own as well. */
export function hasOwnCredentials({ credential }: Pick<Connection, 'credential'>): boolean {
  return Object.values(credential).some(
    each => typeof each === 'object' && each.oauth.grant === 'authorization_code',
  )
}
