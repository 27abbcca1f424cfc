/** Most lists here are short and partly in order: insertion sorts those without the copies that `sort` makes. */
const few = 32

/** Sorts in place by UTF-16 code units of each item's key, the order of RFC 8785 section 3.2.3; stable. */
export function sortByUnits<T>(items: T[], keyOf: (item: T) => string): T[] {
  if (items.length > few) {
    return items.sort((a, b) => {
      const [left, right] = [keyOf(a), keyOf(b)]
      return left < right ? -1 : left > right ? 1 : 0
    })
  }
  for (let i = 1; i < items.length; i++) {
    const item = items[i]!
    const key = keyOf(item)
    let at = i
    for (; at > 0 && keyOf(items[at - 1]!) > key; at--) items[at] = items[at - 1]!
    items[at] = item
  }
  return items
}
