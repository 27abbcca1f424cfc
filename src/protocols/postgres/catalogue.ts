/** Names of tables and columns by the OIDs that results come with, asked of the server once and kept for a while. */
import type { Lease } from '../../credentials/lease.ts'
import { GatewayError } from '../../errors.ts'
import { type Lineage, lineageOf } from './lineage.ts'
import { login, type UpstreamSession } from './login.ts'
import { query, readDataRow, terminate } from './messages.ts'
import type { PostgresSettings } from './settings.ts'

export interface Table {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** `relkind`: r table, p partitioned, v view, m materialized view, f foreign, ... */
  readonly kind: string
  /** True where reading it runs nothing of its owner's: no view, no row security. */
  readonly plain: boolean
  /** Column names by attribute number. */
  readonly columns: ReadonlyMap<number, string>
  /** Those that it inherits from, or that inherit from it: a column of theirs and its own of that name are one. */
  readonly relatives: readonly Table[]
  /** Of a view: what its columns are made of. */
  readonly lineage?: Lineage
  /** Of a view: the relations that its definition names. */
  readonly sources: readonly Table[]
}

/** A function that somebody wrote: not one of the server's own. */
export interface WrittenFunction {
  readonly name: string
  readonly language: string
  /** Its definition. */
  readonly source: string
}

/** What has changed outside of the gateway is known after this long. */
const keptMs = 60_000
const mostKept = 20_000

type Making = {
  -readonly [key in keyof Table]: Table[key] extends readonly (infer T)[] ? T[] : Table[key]
}

/** What was asked since it was last forgotten: what stands in it is never replaced. */
interface Found {
  readonly tables: Map<number, Table | undefined>
  readonly named: Map<string, readonly Table[]>
  readonly functions: Map<string, readonly WrittenFunction[]>
  schemas: Promise<ReadonlyMap<string, boolean>> | undefined
}

function nothingFound(): Found {
  return { tables: new Map(), named: new Map(), functions: new Map(), schemas: undefined }
}

/** One for each connection. Asks on a session of its own, so that it can while a result is under way. */
export class Catalogue {
  readonly #settings: PostgresSettings
  #found = nothingFound()
  #freshUntil = 0
  #asking: Promise<unknown> = Promise.resolve()

  constructor(settings: PostgresSettings) {
    this.#settings = settings
  }

  /** Forgets everything: some statement may have changed it. */
  forget(): void {
    this.#freshUntil = 0
  }

  /** The same object for as long as what was told is told again, and another from then on. */
  get state(): object {
    return this.#refreshed()
  }

  /** By OID. What another transaction has not committed can't be seen and is absent. Throws as `login` does. */
  async tables(oids: readonly number[], lease: Lease): Promise<ReadonlyMap<number, Table | undefined>> {
    const kept = this.#refreshed().tables
    const missing = [...new Set(oids)].filter(oid => oid !== 0 && !kept.has(oid))
    if (missing.length > 0) {
      const found = await this.#ask(`c.oid = ANY ('{${missing.join(',')}}'::oid[])`, lease)
      for (const oid of missing) kept.set(oid, found.get(oid))
    }
    return kept
  }

  /** Every table or view of each of these bare names, in any schema. */
  async named(names: readonly string[], lease: Lease): Promise<readonly Table[]> {
    const kept = this.#refreshed().named
    const missing = names.filter(name => !kept.has(name))
    if (missing.length > 0) {
      const found = [...(await this.#ask(`c.relname IN (${listed(missing)})`, lease)).values()]
      for (const name of missing)
        kept.set(
          name,
          found.filter(table => table.name === name),
        )
    }
    return names.flatMap(name => kept.get(name) ?? [])
  }

  /** Every relation of a schema. */
  async within(schema: string, lease: Lease): Promise<readonly Table[]> {
    const found = await this.#ask(
      `c.relkind IN ('r','p','v','m','f') AND n.nspname IN (${listed([schema])})`,
      lease,
    )
    return [...found.values()].filter(table => table.schema === schema)
  }

  /** The schemas that there are, and whether the gateway's own role may use them. */
  schemas(lease: Lease): Promise<ReadonlyMap<string, boolean>> {
    const found = this.#refreshed()
    found.schemas ??= this.#session(lease, async session => {
      const rows = await rowsOf(
        session,
        `SELECT nspname, pg_catalog.has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace`,
      )
      return new Map(rows.map(([name = '', usage]) => [name, usage === 't']))
    })
    const asked = found.schemas
    asked.catch(() => {
      if (found.schemas === asked) found.schemas = undefined
    })
    return asked
  }

  /** Functions of these bare names, in any schema, that are not the server's own. */
  async functions(names: readonly string[], lease: Lease): Promise<readonly WrittenFunction[]> {
    const kept = this.#refreshed().functions
    const missing = names.filter(name => !kept.has(name))
    if (missing.length > 0) {
      const rows = await this.#session(lease, session =>
        rowsOf(
          session,
          `SELECT p.proname, l.lanname,
             CASE WHEN p.prokind IN ('f', 'p', 'w') THEN pg_catalog.pg_get_functiondef(p.oid) ELSE '' END
           FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
           WHERE p.oid >= 16384 AND p.proname IN (${listed(missing)})`,
        ),
      )
      for (const name of missing)
        kept.set(
          name,
          rows
            .filter(([own]) => own === name)
            .map(([own = '', language = '', source = '']) => ({ name: own, language, source })),
        )
    }
    return names.flatMap(name => kept.get(name) ?? [])
  }

  #refreshed(): Found {
    const { tables, named, functions } = this.#found
    const full = tables.size + named.size + functions.size > mostKept
    if (performance.now() >= this.#freshUntil || full) {
      this.#found = nothingFound()
      this.#freshUntil = performance.now() + keptMs
    }
    return this.#found
  }

  #ask(condition: string, lease: Lease): Promise<ReadonlyMap<number, Table>> {
    return this.#session(lease, session => tablesOf(session, condition))
  }

  /** One question at a time. */
  #session<T>(lease: Lease, ask: (session: UpstreamSession) => Promise<T>): Promise<T> {
    const asked = this.#asking.then(async () => {
      const session = await login(this.#settings, lease.secrets, [
        ['client_encoding', 'UTF8'],
        ['application_name', 'sallyport catalogue'],
        ['search_path', 'pg_catalog'],
        ['standard_conforming_strings', 'on'],
      ])
      try {
        return await ask(session)
      } finally {
        session.wire.send(terminate)
        session.wire.end()
      }
    })
    this.#asking = asked.catch(() => undefined)
    return asked
  }
}

/** The tables of a condition and all that they are related to or made of. */
async function tablesOf(session: UpstreamSession, condition: string): Promise<ReadonlyMap<number, Table>> {
  const edges = await rowsOf(session, edgesText(condition))
  const oids = new Set(edges.flatMap(([from = '', to = '']) => [from, to]))
  if (oids.size === 0) return new Map()
  const rows = await rowsOf(
    session,
    `SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, a.attnum, a.attname
     FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.oid = ANY ('{${[...oids].join(',')}}'::oid[])`,
  )
  const made = new Map<number, Making & { columns: Map<number, string> }>()
  for (const [oid, schema = '', name = '', kind = '', secured, attribute, column = ''] of rows) {
    let table = made.get(Number(oid))
    if (table === undefined) {
      const plain = 'rpmSti'.includes(kind) && secured === 'f'
      table = { oid: Number(oid), schema, name, kind, plain, columns: new Map(), relatives: [], sources: [] }
      made.set(table.oid, table)
    }
    if (attribute !== '') table.columns.set(Number(attribute), column)
  }
  relate(made, edges)
  const views = [...made.values()].filter(({ kind }) => kind === 'v' || kind === 'm').map(({ oid }) => oid)
  if (views.length > 0) {
    const definitions = await rowsOf(
      session,
      `SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c WHERE c.oid = ANY ('{${views.join(',')}}'::oid[])`,
    )
    for (const [oid, text = ''] of definitions) made.get(Number(oid))!.lineage = lineageOf(text)
  }
  return made
}

function relate(made: ReadonlyMap<number, Making>, edges: readonly string[][]): void {
  for (const [from, to, kind] of edges) {
    const own = made.get(Number(from))
    const other = made.get(Number(to))
    if (own === undefined || other === undefined) continue
    if (kind === 'inherits') own.relatives.push(other)
    if (kind === 'source' && !own.sources.includes(other)) own.sources.push(other)
  }
}

/** Who inherits from whom, and what views are made of, as far as it leads from the tables of the condition. */
function edgesText(condition: string): string {
  return `WITH RECURSIVE edges(source, target, kind) AS (
      SELECT i.inhrelid, i.inhparent, 'inherits' FROM pg_catalog.pg_inherits i
      UNION ALL SELECT i.inhparent, i.inhrelid, 'inherits' FROM pg_catalog.pg_inherits i
      UNION ALL SELECT w.ev_class, d.refobjid, 'source'
        FROM pg_catalog.pg_rewrite w
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
          AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> w.ev_class
        WHERE w.ev_type = '1' AND w.ev_class >= 16384
    ), wanted(oid) AS (
      SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ${condition}
      UNION SELECT e.target FROM wanted JOIN edges e ON e.source = wanted.oid
    )
    SELECT oid, oid, 'self' FROM wanted
    UNION ALL SELECT DISTINCT e.source, e.target, e.kind FROM wanted JOIN edges e ON e.source = wanted.oid`
}

function listed(names: readonly string[]): string {
  return names.map(name => `'${name.replaceAll("'", "''")}'`).join(',')
}

async function rowsOf({ wire }: UpstreamSession, text: string): Promise<string[][]> {
  const rows: string[][] = []
  wire.send(query(text))
  await wire.flush()
  let failed = false
  for (;;) {
    const each = wire.take()
    if (each === undefined) {
      if (wire.ended)
        throw new GatewayError('upstream-unreachable', { detail: 'the catalogue can not be read' })
      await wire.readable()
    } else if (each.type === 'D')
      rows.push(readDataRow(each.bytes).map(value => value?.toString('utf8') ?? ''))
    else if (each.type === 'E') failed = true
    else if (each.type === 'Z') {
      if (failed) throw new GatewayError('upstream-invalid', { detail: 'the catalogue can not be read' })
      return rows
    }
  }
}
