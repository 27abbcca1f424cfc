/**
 * Entries that were removed on purpose. A `pruned` entry says which, and what their root was; the hashes of what it
 * names are still there and are under the signed root, so the statement is checked and not believed.
 */
import type { Findings } from './findings.ts'
import { pathOf } from './walk.ts'

const full = 256
const marker = Buffer.from('"kind":"pruned"')

interface Statement {
  readonly entry: number
  readonly from: number
  readonly to: number
  readonly root: string
}

export class PrunedStatements {
  readonly #statements: Statement[] = []
  readonly #missing: number[] = []

  /** To be called with each full bundle that is not there. */
  miss(bundle: number): void {
    this.#missing.push(bundle)
  }

  /** To be called with each entry that is there, in order: a statement comes after what it is of. */
  take(entry: number, bytes: Buffer): void {
    if (this.#missing.length === 0) return
    if (!bytes.includes(marker)) return
    const said = parse(bytes)
    if (said === undefined) return
    const [from, to, root] = [said['from'], said['to'], said['root']]
    if (typeof root !== 'string' || !isNumber(from) || !isNumber(to)) return
    this.#statements.push({ entry, from: Number(from), to: Number(to), root })
  }

  /**
   * The bundles that are missing: by policy, where a statement covers them, or else a finding. `roots` has that of the
   * entries before each bundle that follows a missing one. Gives a note where some went by policy.
   */
  judge(roots: ReadonlyMap<number, Buffer>, findings: Findings): string[] {
    let removed = 0
    const covering = new Set<Statement>()
    for (const index of this.#missing) {
      const statement = this.#statements.find(
        ({ from, to, entry }) => from <= index * full && (index + 1) * full <= to && to <= entry,
      )
      if (statement === undefined) findings.add('missing', 'bundle-missing', pathOf('entries', index, full))
      else {
        covering.add(statement)
        removed++
      }
    }
    for (const { entry, to, root } of covering) {
      const found = roots.get(to)?.toString('base64')
      if (found !== root)
        findings.add(
          'tampering',
          'pruned-root',
          `entry ${entry} states another root for the first ${to} entries`,
        )
    }
    if (removed === 0) return []
    const last = Math.max(...[...covering].map(each => each.to))
    return [`${removed * full} entries below ${last} were removed by policy, as entries of the log state`]
  }
}

function isNumber(text: unknown): text is string {
  return typeof text === 'string' && /^\d{1,15}$/.test(text)
}

function parse(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const { kind, pruned } = JSON.parse(bytes.toString()) as Readonly<Record<string, unknown>>
    return kind === 'pruned' && typeof pruned === 'object' && pruned !== null
      ? (pruned as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
