import { createHmac } from 'node:crypto'

/** `redact`: only the kind remains. `partial`: and the last four characters. `hash`: equal for equal values. */
export type Way = 'redact' | 'partial' | 'hash'

/** Strictest first: where profiles disagree, the first wins. */
export const ways: readonly Way[] = ['redact', 'hash', 'partial']

const kept = 4
const shortestForPartial = 12
const hashLength = 16

/**
 * What stands in a value's place: letters, digits and `[:]-` alone, so that it is valid content in JSON strings,
 * headers and text as it is. `value` is a byte string; `key` keys the HMAC-SHA256 of `hash`.
 */
export function replacement(
  way: Way,
  value: { kind: string; bytes: string },
  key: string | undefined,
): string {
  const { kind, bytes } = value
  switch (way) {
    case 'redact':
      return `[masked:${kind}]`
    case 'partial': {
      const last = bytes.slice(-kept)
      const shown = bytes.length >= shortestForPartial && /^[A-Za-z0-9]+$/.test(last)
      return shown ? `[masked:${kind}:${last}]` : `[masked:${kind}]`
    }
    case 'hash': {
      if (key === undefined) throw new TypeError('the way `hash` needs a key')
      const digest = createHmac('sha256', key).update(bytes, 'latin1').digest('hex')
      return `[hash:${kind}:${digest.slice(0, hashLength)}]`
    }
  }
}
