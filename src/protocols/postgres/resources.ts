/**
 * Which relations a statement means. A bare name means what the session's search_path makes of it: that is asked of the
 * session itself, and forgotten after whatever may have changed it without being followed. Where it can't be told, all
 * that may be meant is listed, so that rules which restrict see it and an allow has to cover it.
 */
import type { Lease } from '../../credentials/lease.ts'
import type { ResourceNames } from '../../model/action.ts'
import type { Table } from './catalogue.ts'
import type { Host } from './host.ts'
import type { Judgement } from './judge.ts'
import type { Reference } from './judgement.ts'
import { askNames } from './session-names.ts'
import type { Unit } from './unit.ts'

/** What bare names mean in a session. */
export interface NameSpace {
  /** Schemas in the order in which they are searched, the implicit ones left out. */
  readonly path: readonly string[]
  /** Whether the session acts as the role that the catalogue is asked with, so that its rights are known. */
  readonly own: boolean
}

/** How much of the catalogue the session's open transaction may have changed in a way that nobody else sees. */
type Unseen = 'nothing' | 'relations' | 'schemas'

export class Names {
  readonly #host: Host
  #space: NameSpace | undefined
  #unseen: Unseen = 'nothing'
  /** Bare names of temporary relations that the session has made, as far as its statements tell. */
  readonly #temporary = new Set<string>()
  /** Something ran that may have made temporary relations without saying so. */
  #opaque = false
  /** Of the statements that were looked up last, those that leave the path as it is. */
  #quiet = new WeakSet<Judgement>()

  constructor(host: Host) {
    this.#host = host
  }

  /** What each of these statements acts on, in the order in which they will run. Throws as the catalogue does. */
  async of(
    units: readonly Unit[],
    at: { readonly lease: Lease; readonly synced: boolean },
  ): Promise<ResourceNames[][]> {
    const { catalogue } = this.#host
    const bare = new Set(units.flatMap(unit => unit.judgement.references.map(each => each.name)))
    bare.delete('*')
    const found = bare.size === 0 ? [] : await catalogue.named([...bare], at.lease)
    const tables = Map.groupBy(found, table => table.name)
    const schemas = bare.size === 0 ? new Map<string, boolean>() : await catalogue.schemas(at.lease)
    if (this.#space === undefined && units.some(unit => needsPath(unit.judgement, tables)))
      this.#space = await askNames(this.#host, at.synced)
    let space = this.#space
    let unseen = this.#unseen
    this.#quiet = new WeakSet()
    const all: ResourceNames[][] = []
    for (const { judgement, early } of units) {
      // A cursor means what it meant when it was opened, whatever the path has become.
      const lookup: Lookup = {
        tables,
        schemas,
        space: early === true ? undefined : space,
        unseen,
        temporary: name => this.#mayBeTemporary(name, tables),
      }
      const names = new Map<string, ResourceNames>()
      for (const each of judgement.references)
        for (const one of await this.#meant(each, lookup, at.lease)) names.set(one[0], one)
      all.push([...names.values()])
      // What comes later in the same string runs after this: what it changes can't be asked yet.
      for (const each of judgement.references)
        if (each.use === 'made temporary') this.#temporary.add(each.name)
      if (isQuiet(judgement, tables)) this.#quiet.add(judgement)
      else space = undefined
      unseen = worse(unseen, unseenBy(judgement))
    }
    return all
  }

  /** After a statement that the server has carried out. */
  ran(judgement: Judgement): void {
    const { operations, unknownFunctions } = judgement
    if (!this.#quiet.has(judgement) && !isQuiet(judgement, undefined)) this.#space = undefined
    if (unknownFunctions.length > 0 || operations.some(each => runsCode.test(each.name))) this.#opaque = true
    this.#unseen = worse(this.#unseen, unseenBy(judgement))
  }

  /** No transaction is open any more. */
  settled(): void {
    this.#unseen = 'nothing'
  }

  #mayBeTemporary(name: string, tables: ReadonlyMap<string, readonly Table[]>): boolean {
    if (this.#temporary.has(name)) return true
    return this.#opaque && (tables.get(name) ?? []).some(({ schema }) => isTemporary(schema))
  }

  async #meant({ schema, name, use }: Reference, lookup: Lookup, lease: Lease): Promise<ResourceNames[]> {
    if (name === '*') {
      const within = await this.#host.catalogue.within(schema!, lease)
      return [[`${part(schema!)}.*`, '*'], ...within.map(table => named(table.schema, table.name))]
    }
    if (schema !== undefined) return [named(schema, name)]
    if (use === 'made temporary') return [named('pg_temp', name)]
    const meant = use === 'made' ? [creationSchema(lookup)] : schemasOf(name, lookup)
    return meant.map(each => named(each, name))
  }
}

interface Lookup {
  readonly tables: ReadonlyMap<string, readonly Table[]>
  /** By name: whether the gateway's role may use it. */
  readonly schemas: ReadonlyMap<string, boolean>
  readonly space: NameSpace | undefined
  readonly unseen: Unseen
  readonly temporary: (name: string) => boolean
}

/** Stands for a schema that can't be told. */
const nowhere = '?'

/** The schemas in which a bare name may be found. */
function schemasOf(name: string, lookup: Lookup): string[] {
  const { space, schemas, unseen } = lookup
  const present = new Set(
    (lookup.tables.get(name) ?? []).map(({ schema }) => schema).filter(each => !isTemporary(each)),
  )
  const temporary = lookup.temporary(name) ? ['pg_temp'] : []
  if (space === undefined) {
    const anywhere = unseen !== 'nothing' || (present.size === 0 && temporary.length === 0)
    return [...temporary, ...present, ...(anywhere ? [nowhere] : [])]
  }
  const path = space.path.includes('pg_catalog') ? space.path : ['pg_catalog', ...space.path]
  const here = path.filter(each => present.has(each))
  if (unseen !== 'nothing') {
    const possible = path.filter(each => each !== 'pg_catalog' && (unseen === 'schemas' || schemas.has(each)))
    return [...temporary, ...new Set([...here, ...possible])]
  }
  const found = space.own ? here.filter(each => schemas.get(each) !== false).slice(0, 1) : here
  if (found.length > 0 || temporary.length > 0) return [...temporary, ...found]
  return [creationSchema(lookup)]
}

/** Where something new is put that names no schema. */
function creationSchema({ space, schemas, unseen }: Lookup): string {
  if (space === undefined || unseen === 'schemas') return nowhere
  return space.path.find(each => schemas.has(each)) ?? nowhere
}

/** Whether the session's path decides what the statement means. */
function needsPath({ references }: Judgement, tables: ReadonlyMap<string, readonly Table[]>): boolean {
  return references.some(
    ({ schema, name, use }) =>
      schema === undefined &&
      use !== 'made temporary' &&
      (use === 'made' || (tables.get(name) ?? []).filter(each => !isTemporary(each.schema)).length !== 1),
  )
}

const runsCode =
  /^(?:DO|CALL|EXECUTE|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY FROM.*|REFRESH.*|LOAD|EXPLAIN)$/
const nameSettings: ReadonlySet<string> = new Set(['search_path', 'role', 'session_authorization', '*'])

/** Whether it leaves the session's path as it is, for all that its text and its tables tell. */
function isQuiet(judgement: Judgement, tables: ReadonlyMap<string, readonly Table[]> | undefined): boolean {
  const { role, risk, settings, unknownFunctions, operations, references } = judgement
  if (role.kind === 'end' || role.kind === 'discard' || risk !== 'read' || unknownFunctions.length > 0)
    return false
  if (settings.some(({ name }) => nameSettings.has(name))) return false
  if (operations.some(({ name }) => runsCode.test(name) || name === 'ROLLBACK TO')) return false
  if (tables === undefined) return references.length === 0
  return references.every(({ name }) => (tables.get(name) ?? []).every(table => table.plain))
}

function unseenBy({ operations, unknownFunctions }: Judgement): Unseen {
  const names = operations.map(each => each.name)
  if (names.some(name => /^(?:DO|CALL|.* SCHEMA|.* EXTENSION)$/.test(name))) return 'schemas'
  if (
    names.some(name => /^(?:CREATE|ALTER|DROP|SELECT INTO|IMPORT)/.test(name)) ||
    unknownFunctions.length > 0
  )
    return 'relations'
  return 'nothing'
}

const gravity: readonly Unseen[] = ['nothing', 'relations', 'schemas']

function worse(a: Unseen, b: Unseen): Unseen {
  return gravity.indexOf(a) > gravity.indexOf(b) ? a : b
}

function isTemporary(schema: string): boolean {
  return /^pg_(?:toast_)?temp_\d+$/.test(schema)
}

/** The names of a relation in a schema, the exact one first. */
export function named(schema: string, name: string): ResourceNames {
  const own = isTemporary(schema) ? 'pg_temp' : schema
  return [`${part(own)}.${part(name)}`, part(name)]
}

/** Quoted where it would be taken for several parts, or for a pattern. */
function part(name: string): string {
  return /[.*"!]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name
}
