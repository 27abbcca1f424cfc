/** Statement to Action: what policy, guards, approvals and the log see of it. */
import { hash } from 'node:crypto'
import { newId } from '../../id.ts'
import type { Masker } from '../../masking/masker.ts'
import type { Action, ResourceNames, Risk } from '../../model/action.ts'
import type { Judgement } from './judge.ts'
import { formatOf } from './messages.ts'
import type { Operation } from './operations.ts'
import { Recent } from './recent.ts'
import type { Unit } from './unit.ts'

/** What is true of the session while a statement runs in it. */
export interface SessionState {
  readonly database: string
  readonly user: string
  readonly pid: number
  /** Settings that decide what names mean and who one is, as the session has set them. */
  readonly changed: ReadonlyMap<string, string>
}

/** Longest statement in an entry, characters. */
const longestStatement = 2000

/** Values that conditions see at most; more are counted, and an action's digest covers all. */
const mostValues = 200

/**
 * One thing that a statement does. A statement that does several (a WITH that deletes and updates, an upsert) is an
 * action for each, so that no rule for one of them can be passed by.
 */
export class PostgresAction implements Action {
  readonly id = newId('a')
  readonly operation: string
  readonly known: boolean
  readonly risk: Risk
  readonly resource: string
  readonly resources?: readonly ResourceNames[]
  readonly content: Readonly<Record<string, unknown>>
  readonly facts: Readonly<Record<string, unknown>>
  readonly #unit: Unit
  readonly #state: SessionState
  #digest: string | undefined

  constructor(
    unit: Unit,
    operation: Operation,
    of: {
      readonly state: SessionState
      readonly masker: Masker
      /** More that its entries say, beside what is told of every statement. */
      readonly facts?: Readonly<Record<string, unknown>>
    },
  ) {
    const { judgement } = unit
    this.#unit = unit
    this.#state = of.state
    this.operation = operation.name
    this.known = judgement.known
    // The first carries what functions and settings add; others are no graver than their own name.
    this.risk = operation === judgement.operations[0] ? judgement.risk : operation.risk
    this.resource =
      `${of.state.database}${judgement.qualified.length === 0 ? '' : `/${judgement.qualified.join(',')}`}`.slice(
        0,
        500,
      )
    if (unit.resources !== undefined) this.resources = unit.resources
    this.content = contentOf(unit, of.state)
    this.facts = { db: { ...factsOf(unit, operation, of), ...of.facts } }
  }

  digest(): string {
    return (this.#digest ??= this.#hash())
  }

  #hash(): string {
    const { judgement, inner, bind, types, maxRows } = this.#unit
    const { database, changed } = this.#state
    const values = bind?.values.map(value => value?.toString('base64') ?? null)
    return hash(
      'sha256',
      JSON.stringify([
        database,
        this.operation,
        judgement.text,
        inner ?? null,
        values ?? [],
        bind?.formats ?? [],
        types ?? [],
        bind?.resultFormats ?? [],
        maxRows,
        ...(this.resources === undefined ? [] : [this.resources]),
        [...changed].toSorted(([a], [b]) => (a < b ? -1 : 1)),
      ]),
    )
  }
}

function contentOf(unit: Unit, state: SessionState): Record<string, unknown> {
  const { judgement, inner } = unit
  return {
    database: state.database,
    statement: judgement.text,
    ...(inner === undefined ? {} : { prepared: inner }),
    operations: judgement.operations.map(each => each.name),
    tables: judgement.tables,
    qualified: judgement.qualified,
    columns: judgement.columns,
    functions: judgement.functions,
    unknown_functions: judgement.unknownFunctions,
    where: judgement.where,
    settings: judgement.settings.map(each => each.name),
    session: Object.fromEntries(state.changed),
    values: valuesOf(unit).slice(0, mostValues),
  }
}

/** Bound values: text as it is, binary as `\x` and hexadecimal digits, null. */
export function valuesOf({ bind }: Unit): (string | null)[] {
  if (bind === undefined) return []
  return bind.values.map((value, index) => {
    if (value === null) return null
    return formatOf(bind.formats, index) === 0 ? value.toString('utf8') : `\\x${value.toString('hex')}`
  })
}

/** OpenTelemetry's names for databases where there is one. Constants are out of the statement; comments may hold any. */
function factsOf(
  unit: Unit,
  operation: Operation,
  { state, masker }: { readonly state: SessionState; readonly masker: Masker },
): Record<string, unknown> {
  const { judgement, bind } = unit
  const statement = shownStatement(judgement, masker)
  return {
    system: 'postgresql',
    instance: state.database,
    user: state.user,
    operation: operation.name,
    ...(statement === '' ? {} : { statement }),
    ...(judgement.tables.length === 0 ? {} : { tables: judgement.tables.slice(0, 32) }),
    ...(unit.resources === undefined || unit.resources.length === 0
      ? {}
      : { relations: unit.resources.slice(0, 32).map(([exact]) => exact) }),
    ...(bind === undefined || bind.values.length === 0 ? {} : { values: bind.values.length }),
    backend_pid: state.pid,
  }
}

/** By `Masker.rules`, then by the statement without its constants. */
const shown = new WeakMap<object, Recent<string>>()

/** Statements that differ in their constants alone are shown alike, and masked once. */
function shownStatement(judgement: Judgement, masker: Masker): string {
  let texts = shown.get(masker.rules)
  if (texts === undefined) shown.set(masker.rules, (texts = new Recent(2048)))
  const normalized = judgement.normalized()
  if (normalized.length > longestRemembered) return maskedStatement(normalized, masker)
  let statement = texts.get(normalized)
  if (statement === undefined) texts.set(normalized, (statement = maskedStatement(normalized, masker)))
  return statement
}

const longestRemembered = 16 * 1024

function maskedStatement(normalized: string, masker: Masker): string {
  const statement = masker.text(normalized).slice(0, longestStatement)
  masker.takeReport()
  return statement
}
