/**
 * Looks for what JSON.parse forgives: a member name that an object has twice, where two parsers may disagree on which
 * one counts (RFC 7519 section 4 lets a receiver refuse it), and nesting deeper than `maxDepth`. `text` must be valid
 * JSON. Linear, and no recursion.
 */
export function hasUnsafeMembers(text: string, maxDepth: number): boolean {
  const stack: (Set<string> | undefined)[] = []
  let nameNext = false
  for (let i = 0; i < text.length; i++) {
    switch (text.charAt(i)) {
      case '{':
        stack.push(new Set())
        nameNext = true
        break
      case '[':
        stack.push(undefined)
        nameNext = false
        break
      case '}':
      case ']':
        stack.pop()
        nameNext = false
        break
      case ',':
        nameNext = stack.at(-1) !== undefined
        break
      case '"': {
        const end = endOfString(text, i)
        if (nameNext) {
          const name = JSON.parse(text.slice(i, end + 1)) as string
          const names = stack.at(-1)!
          if (names.has(name)) return true
          names.add(name)
          nameNext = false
        }
        i = end
        break
      }
      default:
    }
    if (stack.length > maxDepth) return true
  }
  return false
}

function endOfString(text: string, start: number): number {
  let i = start + 1
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return i
}
