/** Names of tables and columns by the OIDs that results come with, asked of the server once and kept for a while. */
import type { Lease } from '../../credentials/lease.ts'
import { GatewayError } from '../../errors.ts'
import { login, type UpstreamSession } from './login.ts'
import { query, readDataRow, terminate } from './messages.ts'
import type { PostgresSettings } from './settings.ts'

export interface Table {
  readonly schema: string
  readonly name: string
  /** Column names by attribute number. */
  readonly columns: ReadonlyMap<number, string>
}

/** A renamed column is known by its new name after this long. */
const keptMs = 60_000
const mostKept = 20_000

/** One for each connection. Asks on a session of its own, so that it can while a result is under way. */
export class Catalogue {
  readonly #settings: PostgresSettings
  #tables = new Map<number, Table | undefined>()
  #named = new Map<string, readonly Table[]>()
  #freshUntil = 0
  #asking: Promise<unknown> = Promise.resolve()

  constructor(settings: PostgresSettings) {
    this.#settings = settings
  }

  /** Forgets everything: some statement may have changed it. */
  forget(): void {
    this.#freshUntil = 0
  }

  /** By OID. What another transaction has not committed can't be seen and is absent. Throws as `login` does. */
  async tables(oids: readonly number[], lease: Lease): Promise<ReadonlyMap<number, Table | undefined>> {
    this.#refresh()
    const missing = [...new Set(oids)].filter(oid => oid !== 0 && !this.#tables.has(oid))
    if (missing.length > 0) {
      const found = await this.#ask(`c.oid = ANY ('{${missing.join(',')}}'::oid[])`, lease)
      for (const oid of missing) this.#tables.set(oid, found.get(oid))
    }
    return this.#tables
  }

  /** Every table or view of each of these bare names, in any schema. */
  async named(names: readonly string[], lease: Lease): Promise<readonly Table[]> {
    this.#refresh()
    const missing = names.filter(name => !this.#named.has(name))
    if (missing.length > 0) {
      const list = missing.map(name => `'${name.replaceAll("'", "''")}'`).join(',')
      const found = [...(await this.#ask(`c.relname IN (${list})`, lease)).values()]
      for (const name of missing)
        this.#named.set(
          name,
          found.filter(table => table.name === name),
        )
    }
    return names.flatMap(name => this.#named.get(name) ?? [])
  }

  #refresh(): void {
    const full = this.#tables.size + this.#named.size > mostKept
    if (performance.now() < this.#freshUntil && !full) return
    this.#tables = new Map()
    this.#named = new Map()
    this.#freshUntil = performance.now() + keptMs
  }

  /** One question at a time. */
  #ask(condition: string, lease: Lease): Promise<ReadonlyMap<number, Table>> {
    const asked = this.#asking.then(() => this.#askNow(condition, lease))
    this.#asking = asked.catch(() => undefined)
    return asked
  }

  async #askNow(condition: string, lease: Lease): Promise<ReadonlyMap<number, Table>> {
    const session = await login(this.#settings, lease.secrets, [
      ['client_encoding', 'UTF8'],
      ['application_name', 'sallyport catalogue'],
      ['search_path', 'pg_catalog'],
    ])
    try {
      const rows = await rowsOf(
        session,
        `SELECT c.oid, n.nspname, c.relname, a.attnum, a.attname FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE ${condition}`,
      )
      const tables = new Map<number, { schema: string; name: string; columns: Map<number, string> }>()
      for (const [oid, schema = '', name = '', attribute, column = ''] of rows) {
        let table = tables.get(Number(oid))
        if (table === undefined) tables.set(Number(oid), (table = { schema, name, columns: new Map() }))
        table.columns.set(Number(attribute), column)
      }
      return tables
    } finally {
      session.wire.send(terminate)
      session.wire.end()
    }
  }
}

async function rowsOf({ wire }: UpstreamSession, text: string): Promise<string[][]> {
  const rows: string[][] = []
  wire.send(query(text))
  await wire.flush()
  for (;;) {
    const each = wire.take()
    if (each === undefined) {
      if (wire.ended)
        throw new GatewayError('upstream-unreachable', { detail: 'the catalogue can not be read' })
      await wire.readable()
    } else if (each.type === 'D')
      rows.push(readDataRow(each.bytes).map(value => value?.toString('utf8') ?? ''))
    else if (each.type === 'E')
      throw new GatewayError('upstream-invalid', { detail: 'the catalogue can not be read' })
    else if (each.type === 'Z') return rows
  }
}
