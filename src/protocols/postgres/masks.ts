/**
 * The masks of one statement's result. A column is masked whole where a rule names it: as it is called in the result,
 * or as `column`, `table.column` or `schema.table.column` where it comes from (the OIDs of RowDescription tell). What
 * comes from nowhere (expressions, unions) is masked whole where a masked column flows into it, as far as the
 * statement's text tells. All other values are looked through by the detectors.
 */
import type { Lease } from '../../credentials/lease.ts'
import { GatewayError } from '../../errors.ts'
import type { Masker, MaskReport } from '../../masking/masker.ts'
import {
  type Coverage,
  coverageOf,
  type ResultCoverage,
  selects,
  type StatementCoverage,
} from './coverage.ts'
import { coveredBy, namesIn, readsAnything } from './covered.ts'
import { bare } from './functions.ts'
import type { Conceals, Host } from './host.ts'
import type { Column } from './messages.ts'
import { valuesOf } from './action.ts'
import { named } from './resources.ts'
import type { Role } from './roles.ts'
import type { Unit } from './unit.ts'
import type { Row } from './row.ts'
import { type Look, lookOf, maskValue, type ValuePlan } from './values.ts'

export interface StatementMaskParts {
  readonly host: Host
  readonly unit: Unit
  readonly profiles: readonly string[]
  /** Values of the lease, which never pass. */
  readonly secrets: readonly string[]
  readonly lease: Lease
}

type CopyRole = Extract<Role, { kind: 'copy' }>

export class StatementMask {
  readonly #parts: StatementMaskParts
  /** Of the same rules: it tells what they cover. */
  readonly #probe: Masker
  readonly #secrets: readonly Buffer[]
  #reached: Promise<boolean> | undefined
  #nulls = 0
  /** The masker of the path; set before the answer is read. */
  masker: Masker | undefined

  constructor(parts: StatementMaskParts) {
    this.#parts = parts
    this.#probe = parts.host.gateway.masker(parts.profiles, parts.host.session.target)
    this.#secrets = parts.secrets.filter(each => each.length >= 4).map(each => Buffer.from(each))
  }

  get active(): boolean {
    return this.#parts.profiles.length > 0
  }

  /** Before anything is sent. Throws `mask-unable` where a mask that is demanded can't hold. */
  async check(maskRequest: readonly string[]): Promise<void> {
    const { host, unit } = this.#parts
    if (maskRequest.length > 0) {
      const masker = host.gateway.masker(maskRequest, host.session.target)
      const texts = [unit.judgement.text, ...valuesOf(unit)].filter(each => each !== null)
      if (texts.some(text => masker.text(text) !== text))
        throw unable('the statement holds what must not go upstream, and SQL can not be masked')
    }
    if (!this.active) return
    const own = this.#own()
    own.stores ??= await this.#anyMasked(unit.judgement.stored)
    if (own.stores) throw unable('the statement would keep masked columns under other names')
  }

  /** What is done with rows of these columns; undefined: nothing. Throws `mask-unable`. */
  async rows(columns: readonly Column[] | undefined): Promise<RowMask | undefined> {
    if (this.masker === undefined) throw new TypeError('no masker yet')
    if (!this.active)
      return this.#secrets.length === 0 ? undefined : new RowMask(this, undefined, this.#secrets)
    if (columns === undefined) throw unable('the columns of the result are not known')
    const { results } = this.#coverage()
    let result = results.get(columns)
    if (result === undefined) {
      result = await this.#result(columns)
      results.set(columns, result)
    }
    const { plans, loose } = result
    if (loose.length === 0 || !(await this.tainted())) return new RowMask(this, plans, this.#secrets)
    const whole = plans.map((plan, at) => (loose.includes(at) ? { ...plan, hides: '' } : plan))
    return new RowMask(this, whole, this.#secrets)
  }

  async #result(columns: readonly Column[]): Promise<ResultCoverage> {
    const { host, lease } = this.#parts
    const oids = columns.map(each => each.table)
    const tables = await host.catalogue.tables(oids, lease)
    const plans: ValuePlan[] = []
    const loose: number[] = []
    for (const [at, { name, table: oid, attribute, type, format }] of columns.entries()) {
      const table = tables.get(oid)
      const from = table?.columns.get(attribute)
      const known = table !== undefined && from !== undefined
      const hides = this.selects(name)
        ? name
        : known
          ? coveredBy(table, from, each => this.selects(each))
          : undefined
      if (hides === undefined && !known) loose.push(at)
      plans.push({ type, format, hides })
    }
    return { plans, loose }
  }

  /** Whether a rule names a column so. */
  selects(name: string): boolean {
    return selects(this.#probe, name)
  }

  /** Whether a masked column may flow into what has no origin of its own. */
  async tainted(): Promise<boolean> {
    const own = this.#own()
    return (own.tainted ??=
      (await this.#anyMasked(this.#parts.unit.judgement.shown)) || (await this.#functionsReach()))
  }

  /** What of an error or notice may be a masked value. */
  async conceals(): Promise<Conceals> {
    if (!this.active) return undefined
    const own = this.#own()
    own.conceals ??= { value: await this.#concealed() }
    return own.conceals.value
  }

  async #concealed(): Promise<Conceals> {
    if (await this.#functionsReach()) return 'everything'
    const { columns, operations } = this.#parts.unit.judgement
    if (await this.#anyMasked(columns)) return 'values'
    // Constraints and triggers tell of whole rows.
    const writes = operations.some(({ name }) =>
      /^(?:INSERT|UPDATE|DELETE|MERGE|COPY FROM|TRUNCATE)$/.test(name),
    )
    return writes && (await this.#anyMasked(['*'])) ? 'row' : undefined
  }

  /** By position: the names by which rules cover the fields of COPY. Undefined: which is which can't be told. */
  async copyColumns(role: CopyRole): Promise<readonly (string | undefined)[] | undefined> {
    const named = await this.#parts.host.catalogue.named([role.table!], this.#parts.lease)
    const found = named.filter(table => role.schema === undefined || table.schema === role.schema)
    const [first] = found
    if (first === undefined) return undefined
    const lists = found.map(table =>
      (role.columns ?? [...table.columns.values()]).map(column =>
        coveredBy(table, column, name => this.selects(name)),
      ),
    )
    if (lists.some(list => list.length !== lists[0]!.length)) return undefined
    // Where a name is in several schemas, what is covered in any of them is.
    return lists[0]!.map((_, at) => lists.map(list => list[at]).find(each => each !== undefined))
  }

  nulled(): void {
    this.#nulls++
  }

  report(): MaskReport {
    return this.#nulls === 0 ? { count: 0, kinds: [] } : { count: this.#nulls, kinds: ['field'] }
  }

  #coverage(): Coverage {
    return coverageOf(this.#parts.host.catalogue.state, this.#probe.rules)
  }

  /** What was found out of this statement: of this execution alone where it depends on what its names mean by then. */
  #own(): StatementCoverage {
    const { judgement, resources } = this.#parts.unit
    if (resources !== undefined) return {}
    const { statements } = this.#coverage()
    let own = statements.get(judgement)
    if (own === undefined) statements.set(judgement, (own = {}))
    return own
  }

  async #anyMasked(columns: readonly string[]): Promise<boolean> {
    if (columns.length === 0) return false
    const { judgement, resources } = this.#parts.unit
    const { tables } = judgement
    if (columns.some(column => column !== '*' && this.selects(column))) return true
    const { host, lease } = this.#parts
    const exact = resources && new Set(resources.map(([name]) => name))
    const found = (await host.catalogue.named(tables, lease)).filter(
      ({ schema, name }) => exact === undefined || isAmong(exact, { schema, name }),
    )
    const all = columns.includes('*')
    return found.some(table =>
      [...table.columns.values()].some(
        column =>
          (all || columns.includes(column)) &&
          coveredBy(table, column, name => this.selects(name)) !== undefined,
      ),
    )
  }

  /** Whether a function that somebody wrote may read a masked column by itself, as far as its text tells. */
  #functionsReach(): Promise<boolean> {
    return (this.#reached ??= this.#reach(this.#parts.unit.judgement.unknownFunctions.map(bare)))
  }

  async #reach(names: readonly string[]): Promise<boolean> {
    const { catalogue } = this.#parts.host
    const { lease } = this.#parts
    const seen = new Set<string>()
    for (let next = names; next.length > 0; ) {
      if (next.some(readsAnything)) return true
      for (const each of next) seen.add(each)
      const bodies = (await catalogue.functions(next, lease)).map(namesIn)
      if (bodies.includes(undefined)) return true
      const words = [...new Set(bodies.flatMap(each => each ?? []))].filter(each => !seen.has(each))
      if (words.length > mostWords) return true
      if (words.some(word => this.selects(word))) return true
      const reached = await catalogue.named(words, lease)
      const selects = (name: string): boolean => this.selects(name)
      if (
        reached.some(table =>
          [...table.columns.values()].some(each => coveredBy(table, each, selects) !== undefined),
        )
      )
        return true
      next = words
    }
    return false
  }
}

/** Words of function bodies that are looked up at most. */
const mostWords = 2000

function isAmong(names: ReadonlySet<string>, { schema, name }: { schema: string; name: string }): boolean {
  const [exact] = named(schema, name)
  return names.has(exact) || names.has(`?.${name}`)
}

/** Masks the values of rows in place. */
export class RowMask {
  readonly #of: Pick<StatementMask, 'masker' | 'nulled'>
  readonly #plans: readonly ValuePlan[] | undefined
  readonly #looks: readonly Look[]
  readonly #secrets: readonly Buffer[]

  constructor(
    of: Pick<StatementMask, 'masker' | 'nulled'>,
    plans: readonly ValuePlan[] | undefined,
    secrets: readonly Buffer[],
  ) {
    this.#of = of
    this.#plans = plans
    this.#looks = plans?.map(lookOf) ?? []
    this.#secrets = secrets
  }

  /** Whether a row must be looked into at all. */
  touches(row: Buffer): boolean {
    return this.#plans !== undefined || this.#secrets.some(secret => row.includes(secret))
  }

  apply(row: Row): void {
    for (let index = 0; index < row.count; index++) {
      const look = this.#looks[index] ?? 'text'
      if (look === 'nothing') continue
      const text = look === 'bytes' ? undefined : row.text(index)
      // Bytes that are no UTF-8 are read one by one there.
      if (text === undefined || text?.includes('\ufffd') === true) this.#maskBytes(row, index)
      else if (text !== null) this.#maskText(row, { index, text, digits: look === 'digits' })
    }
  }

  #maskText(row: Row, of: { readonly index: number; readonly text: string; readonly digits: boolean }): void {
    const masked = this.#of.masker!.text(of.text)
    if (masked !== of.text) this.#replace(row, of.index, of.digits ? null : Buffer.from(masked))
  }

  #maskBytes(row: Row, index: number): void {
    const value = row.value(index)
    if (value === null) return
    const masked = maskValue(value, this.#plans?.[index] ?? anyText, this.#of.masker!)
    if (masked !== value) this.#replace(row, index, masked)
  }

  #replace(row: Row, index: number, masked: Buffer | null): void {
    if (masked === null) this.#of.nulled()
    row.replace(index, masked)
  }
}

const anyText: ValuePlan = { type: 25, format: 0 }

export function unable(detail: string): GatewayError {
  return new GatewayError('mask-unable', { detail })
}
