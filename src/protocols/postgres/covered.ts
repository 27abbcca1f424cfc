/**
 * Which columns a rule covers, and by which of its names. A rule that names a table holds for what inherits from it or is
 * inherited, for views over it, and for the statistics that the server keeps of it.
 */
import type { Table, WrittenFunction } from './catalogue.ts'

/** Views and tables of the server that hold values of other tables' columns. */
const statistics: ReadonlyMap<string, RegExp> = new Map([
  ['pg_stats', /^(?:most_common_|histogram_|range_)/],
  ['pg_stats_ext', /^most_common_/],
  ['pg_stats_ext_exprs', /^(?:most_common_|histogram_|range_)/],
  ['pg_statistic', /^stavalues/],
  ['pg_statistic_ext_data', /^stxd(?:mcv|expr)/],
])

const mostDepth = 32

/** The name by which a rule covers this column; `` for one that has no rule of its own; undefined: none does. */
export function coveredBy(
  table: Table,
  column: string,
  selects: (name: string) => boolean,
): string | undefined {
  return covered({ table, column }, selects, new Set())
}

function covered(
  { table, column }: { readonly table: Table; readonly column: string },
  selects: (name: string) => boolean,
  seen: Set<string>,
): string | undefined {
  const key = `${table.oid} ${column}`
  if (seen.has(key)) return undefined
  seen.add(key)
  if (seen.size > mostDepth * 100) return ''
  const { schema, name } = table
  const own = [column, `${name}.${column}`, `${schema}.${name}.${column}`].find(selects)
  if (own !== undefined) return own
  if (schema === 'pg_catalog' && statistics.get(name)?.test(column) === true) return ''
  for (const relative of table.relatives) {
    if (![...relative.columns.values()].includes(column)) continue
    const found = covered({ table: relative, column }, selects, seen)
    if (found !== undefined) return found
  }
  return table.sources.length === 0 ? undefined : coveredSource(table, { column, selects, seen })
}

/** Through a view: by the columns that its own is made of, or any of its sources' where that can't be told. */
function coveredSource(
  view: Table,
  of: { readonly column: string; readonly selects: (name: string) => boolean; readonly seen: Set<string> },
): string | undefined {
  const at = [...view.columns.values()].indexOf(of.column)
  const made = view.lineage?.[at]
  for (const source of view.sources) {
    for (const column of source.columns.values()) {
      if (made !== undefined && !made.includes(column)) continue
      const found = covered({ table: source, column }, of.selects, of.seen)
      if (found !== undefined) return made?.length === 1 ? found : ''
    }
  }
  return undefined
}

/** Functions that run a text of SQL, or read a table's pages, whatever they are called with. */
const runsText =
  /^(?:.*_to_xml.*|dblink.*|crosstab.*|connectby.*|xpath_table|ts_stat|ts_rewrite|get_raw_page|heap_page_.*|tuple_data_split|bt_page_.*|pg_get_wal_.*|pg_read_.*|lo_get|loread)$/

export function readsAnything(name: string): boolean {
  return runsText.test(name)
}

/**
 * Names that may stand for something in a function's body; undefined where it may read anything: SQL that is put together
 * when it runs, or a language that is not looked into.
 */
export function namesIn({ language, source }: WrittenFunction): readonly string[] | undefined {
  // C functions of extensions work on what they are given, save those that `readsAnything` names.
  if (language === 'c' || language === 'internal') return []
  if (language !== 'sql' && language !== 'plpgsql') return undefined
  const words = [...new Set(source.match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? [])]
  const lower = words.map(word => word.toLowerCase())
  if (lower.some(word => word === 'execute' || readsAnything(word)) || /U&"/i.test(source)) return undefined
  return [...new Set([...words, ...lower])]
}
