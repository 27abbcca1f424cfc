/**
 * Field data classes: what a member of an entry says, so that a sink can be shown less than the log holds. A member
 * that is not in the table is `content`: what nobody has classified does not leave where content is withheld.
 */
import { createHmac } from 'node:crypto'
import type { Entry } from '../audit/events.ts'
import { LogRecord } from './record.ts'

/**
 * `identity`: people, agents, whom they act for. `network`: addresses of clients and what they call themselves.
 * `content`: what was acted on or written: resources, paths, statements, reasons, details of errors. `credential`:
 * names and ids of tokens, keys and linked accounts; secrets themselves are in no entry.
 */
export type FieldClass = 'identity' | 'network' | 'content' | 'credential'
export const fieldClasses = [
  'identity',
  'network',
  'content',
  'credential',
] as const satisfies readonly FieldClass[]

/**
 * `redact`: a text becomes `[redacted]`. `hash`: a text becomes a keyed hash, the same for the same text. Lists are
 * treated element by element; anything else (numbers, objects that the table does not know) is left out.
 */
export type Withholding = 'redact' | 'hash'

export interface FieldRules {
  readonly ways: Readonly<Partial<Record<FieldClass, Withholding>>>
  /** For hashes, and for the leaf hash, which would let a guess at a withheld field be checked. */
  readonly key: string
}

/** `structure` always leaves; `proof` is left out wherever anything is withheld, since it allows guesses to be checked. */
type Kept = 'structure' | 'proof'
type Tree = { readonly [member: string]: FieldClass | Kept | Tree }

function all(of: FieldClass | Kept, members: string): Tree {
  return Object.fromEntries(members.split(' ').map(name => [name, of]))
}

const person: Tree = { ...all('structure', 'kind method'), '*': 'identity' }
const consent: Tree = {
  ...all('structure', 'id rule quorum state required kind vote channel'),
  ...all('identity', 'approvers by requester requested_by'),
  '*': 'content',
}

const classes: Tree = {
  ...all('structure', 'v kind log seq time session action intent operation known risk outcome connection'),
  ...all('structure', 'decision duration upstream_duration bytes_in bytes_out masked truncated totals'),
  ...all('structure', 'counters size root software expires sink entry from to result change sections'),
  ...all('structure', 'trace cause'),
  process: { ...all('structure', 'server per pid calls for_action'), '*': 'content' },
  ...all('structure', 'policy hold basis erased before quorum mode disk window compared'),
  subject: { ...person, on_behalf_of: person },
  ended_by: person,
  ...all('identity', 'claimed by'),
  client: all('network', 'ip port agent *'),
  approval: consent,
  grant: { ...all('structure', 'operations risks expires uses'), to: all('identity', '*'), '*': 'content' },
  http: { ...all('structure', 'method version scheme host template status_code'), '*': 'content' },
  db: { ...all('structure', 'system instance operation row_count'), '*': 'content' },
  mcp: { ...all('structure', 'method protocol session'), '*': 'content' },
  error: { ...all('structure', 'code'), '*': 'content' },
  recording: { ...all('structure', 'blob length complete'), ...all('credential', '*') },
  ...all('credential', 'token key linked vkey witness recipients purpose'),
  leaf_hash: 'proof',
  '*': 'content',
}

/** Makes what a sink is shown of a record. Undefined where it is shown everything. */
export function viewOf(rules: FieldRules): ((record: LogRecord) => LogRecord) | undefined {
  const { ways } = rules
  if (Object.keys(ways).length === 0) return undefined
  return record => new ViewedRecord(record, rules)
}

class ViewedRecord extends LogRecord {
  readonly #original: LogRecord
  readonly #key: string

  constructor(original: LogRecord, rules: FieldRules) {
    super(original.origin, original.index, shown(original, rules))
    this.#original = original
    this.#key = rules.key
  }

  override get original(): LogRecord {
    return this.#original
  }

  /** Keyed: whoever knows all of an entry but one short field could find that field by its plain leaf hash. */
  override get leafHash(): string {
    return createHmac('sha256', this.#key).update(`leaf\0${this.#original.leafHash}`).digest('hex')
  }
}

/** Bytes that are no entry show nothing at all. */
function shown(record: LogRecord, rules: FieldRules): Buffer {
  let entry: Entry
  try {
    entry = record.entry
  } catch {
    return unreadable
  }
  return Buffer.from(JSON.stringify(withheld(entry, classes, rules) ?? {}))
}

/** What no sink has a form for. */
const unreadable = Buffer.from('\n')

type Members = Readonly<Record<string, unknown>>

function withheld(members: Members, tree: Tree, rules: FieldRules): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(members)) {
    const found = Object.hasOwn(tree, name) ? tree[name] : tree['*']
    const kept = keep(value, found ?? 'content', rules)
    if (kept !== undefined) Object.defineProperty(out, name, { value: kept, enumerable: true })
  }
  return out
}

function keep(value: unknown, found: FieldClass | Kept | Tree, rules: FieldRules): unknown {
  if (found === 'structure') return value
  if (found === 'proof') return undefined
  if (typeof found === 'object') {
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return withheld(value as Members, found, rules)
    // Something else than the table expects: nobody can say of which class it is.
    return undefined
  }
  const way = rules.ways[found]
  return way === undefined ? value : hidden(value, way, { of: found, key: rules.key })
}

function hidden(value: unknown, way: Withholding, by: { of: FieldClass; key: string }): unknown {
  if (Array.isArray(value)) return value.map(each => hidden(each, way, by)).filter(each => each !== undefined)
  if (typeof value !== 'string') return undefined
  if (way === 'redact') return '[redacted]'
  const digest = createHmac('sha256', by.key).update(`${by.of}\0${value}`).digest('hex')
  return `hmac:${digest.slice(0, 32)}`
}
