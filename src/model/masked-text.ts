/** Values in which a mask hid something, compared with what may be the same without a mask or under another one. */

const marker = /\[masked:[a-z0-9-]+(?::[^\]\s]*)?\]/g

/** How many hidden values there are in a JSON value, wherever they stand, names of fields included. */
export function countMasked(value: unknown): number {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.match(marker)?.length ?? 0
}

/**
 * Whether two JSON values can be the same: equal but for what a mask hid in either, and without regard to the order of
 * fields. Fields in `ignored` are not compared, wherever they stand.
 */
export function sameButMasked(
  a: unknown,
  b: unknown,
  ignored: ReadonlySet<string> = new Set<string>(),
): boolean {
  if (typeof a === 'string' && typeof b === 'string') return a === b || fits(a, b) || fits(b, a)
  // A mask may take the place of a whole value, whatever its kind.
  if (isWhollyMasked(a) || isWhollyMasked(b)) return true
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((each, i) => sameButMasked(each, b[i], ignored))
  if (!isRecord(a) || !isRecord(b)) return Object.is(a, b)
  const names = new Set([...Object.keys(a), ...Object.keys(b)].filter(name => !ignored.has(name)))
  return [...names].every(
    name => Object.hasOwn(a, name) && Object.hasOwn(b, name) && sameButMasked(a[name], b[name], ignored),
  )
}

/** Whether the text can be what `masked` hides parts of. Linear: each part is looked for after the one before. */
function fits(masked: string, text: string): boolean {
  const parts = masked.split(marker)
  if (parts.length < 2) return false
  const first = parts[0]!
  const last = parts.at(-1)!
  if (text.length < first.length + last.length) return false
  if (!text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

function isWhollyMasked(value: unknown): boolean {
  return typeof value === 'string' && value.replaceAll(marker, '') === '' && value !== ''
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
