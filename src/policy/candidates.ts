import type { Action } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import { risks } from '../model/decision.ts'
import type { Demands } from './authorizer.ts'
import { reaches, type Rule } from './rule.ts'

/** Operations remembered per connection. Names of unknown operations are the client's choice, so it is bounded. */
const remembered = 4096

interface Index {
  /** By risk and operation. */
  readonly rules: Map<string, readonly Rule[]>
  readonly demands: Map<string, Demands>
}

/**
 * The rules that can matter for an operation on a connection, in file order: found once, then remembered. Most rules
 * of a policy speak of other connections or operations, so a decision looks at few.
 */
export class Candidates {
  readonly #rules: readonly Rule[]
  /** By the connection object: a changed connection is another object, and a dropped one takes its index along. */
  readonly #indexes = new WeakMap<Connection, Index>()

  constructor(rules: readonly Rule[]) {
    this.#rules = rules
  }

  of(connection: Connection, action: Pick<Action, 'operation' | 'risk'>): readonly Rule[] {
    const { rules } = this.#index(connection)
    return recall(rules, `${action.risk} ${action.operation}`, () =>
      this.#rules.filter(rule => reaches(rule, connection, action)),
    )
  }

  /** What must be read before any subject's action of this operation, at whatever risk, can be judged. */
  demands(connection: Connection, operation: string): Demands {
    const { demands } = this.#index(connection)
    return recall(demands, operation, () => {
      const rules = risks.flatMap(risk => this.of(connection, { operation, risk }))
      return { body: rules.some(needsBody), resources: rules.some(needsResources) }
    })
  }

  #index(connection: Connection): Index {
    let index = this.#indexes.get(connection)
    if (index === undefined) {
      index = { rules: new Map(), demands: new Map() }
      this.#indexes.set(connection, index)
    }
    return index
  }
}

/** An approval binds to the whole request, so a rule that may ask needs it read as a condition on it does. */
function needsBody(rule: Rule): boolean {
  return rule.condition?.readsBody === true || (rule.effect === 'require_approval' && !rule.shadow)
}

function needsResources(rule: Rule): boolean {
  return rule.resources !== undefined || rule.condition?.readsResources === true
}

/** Least recently used goes first; a Map keeps the order of insertion. */
function recall<T>(cache: Map<string, T>, key: string, make: () => T): T {
  let value = cache.get(key)
  if (value !== undefined) {
    if (cache.size > remembered / 2) {
      cache.delete(key)
      cache.set(key, value)
    }
    return value
  }
  value = make()
  if (cache.size >= remembered) cache.delete(cache.keys().next().value!)
  cache.set(key, value)
  return value
}
