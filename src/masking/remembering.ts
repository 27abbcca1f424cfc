const mostRemembered = 4096
const longestRemembered = 64

/**
 * Remembers what was judged of short byte strings: the same few names come in every body. Bounded, since names are
 * the upstream's to choose.
 */
export function remembering<T>(judge: (name: string) => T): (name: string) => T {
  let known = new Map<string, T>()
  return name => {
    const before = known.get(name)
    if (before !== undefined) return before
    const made = judge(name)
    if (name.length > longestRemembered) return made
    if (known.size >= mostRemembered) known = new Map()
    // A slice would keep the whole chunk that it was cut from in memory.
    known.set(Buffer.from(name, 'latin1').toString('latin1'), made)
    return made
  }
}
