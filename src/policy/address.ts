/** Addresses that differ in the case of their scheme or host alone are the same (RFC 3986, 6.2.2.1). */

const head = /^[a-z][a-z0-9+.-]*:(?:\/\/[^/?#]*)?/i
/** After `resources/read:` and its like, in a pattern also with stars. */
const headInOperation = /(?<=^[^\s:]+:)[a-z*][a-z0-9+.*-]*:\/\/[^/?#]*/i

/** The address with scheme and host in small letters. */
export function plainAddress(uri: string): string {
  return uri.replace(head, lowered)
}

/** An operation that names the address of what it acts on (or a pattern of such), with that address in its plain spelling. */
export function plainOperation(operation: string): string {
  return operation.includes('://') ? operation.replace(headInOperation, lowered) : operation
}

/** All but who is named before an `@`. */
function lowered(found: string): string {
  const at = found.indexOf('@')
  if (at < 0) return found.toLowerCase()
  const who = found.indexOf('//') + 2
  return found.slice(0, who).toLowerCase() + found.slice(who, at) + found.slice(at).toLowerCase()
}
