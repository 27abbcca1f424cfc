import { type Note, parseVerifierKey, signedBy, type VerifierKey } from './signed-note.ts'

/** Whom a verifier trusts (C2SP tlog-policy): keys of the log, and which witnesses must have cosigned. */
export interface TrustPolicy {
  readonly logs: readonly VerifierKey[]
  /** Whether the witnesses that cosigned are enough. */
  readonly quorum: (note: Note) => boolean
  /** False where no witness is asked for. */
  readonly witnessed: boolean
}

type Met = (note: Note) => boolean

const nobody: Met = () => true

/** Throws TypeError, naming the line, for what is no policy. */
export function parsePolicy(text: string): TrustPolicy {
  if (!text.endsWith('\n')) throw new TypeError('the last line of the policy has no end')
  const logs: VerifierKey[] = []
  const known = new Map<string, Met>()
  const used = new Set<string>()
  let quorum: Met | undefined
  const member = (name: string): Met => {
    const met = known.get(name)
    if (met === undefined) throw new TypeError(`no witness or group has the name ${name}`)
    if (used.has(name)) throw new TypeError(`${name} counts twice`)
    used.add(name)
    return met
  }
  const define = (name: string | undefined, met: Met): void => {
    if (name === undefined || name === 'none' || known.has(name)) throw new TypeError(`bad name: ${name}`)
    known.set(name, met)
  }
  const read = (words: readonly string[]): void => {
    const [kind, ...rest] = words
    if (kind === 'log' && rest.length >= 1 && rest.length <= 2) {
      const key = parseVerifierKey(rest[0]!)
      if (key.type !== 1 || logs.some(each => each.key.equals(key.key)))
        throw new TypeError('a bad or second log key')
      logs.push(key)
    } else if (kind === 'witness' && rest.length >= 2 && rest.length <= 3) {
      const key = parseVerifierKey(rest[1]!)
      if (key.type !== 4) throw new TypeError('not the key of a witness')
      define(rest[0], note => signedBy(note, key) === true)
    } else if (kind === 'group' && rest.length >= 3) {
      const [name, count, ...names] = rest
      const members = names.map(member)
      const needed = count === 'all' ? members.length : count === 'any' ? 1 : Number(count)
      if (!Number.isInteger(needed) || needed < 1 || needed > members.length)
        throw new TypeError('a bad threshold')
      define(name, note => members.filter(met => met(note)).length >= needed)
    } else if (kind === 'quorum' && rest.length === 1 && quorum === undefined) {
      quorum = rest[0] === 'none' ? nobody : member(rest[0]!)
    } else throw new TypeError(`not a line of a policy: ${kind}`)
  }
  for (const [i, line] of text.slice(0, -1).split('\n').entries()) {
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line))
      throw new TypeError(`line ${i + 1}: a control character`)
    const words = line.split(/[ \t]+/).filter(word => word !== '')
    if (words.length === 0 || words[0]!.startsWith('#')) continue
    try {
      read(words)
    } catch (error) {
      throw new TypeError(`line ${i + 1}: ${(error as Error).message}`, { cause: error })
    }
  }
  if (quorum === undefined) throw new TypeError('the policy has no quorum line')
  return { logs, quorum, witnessed: known.size > 0 && quorum !== nobody }
}
