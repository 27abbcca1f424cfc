/**
 * What the columns of a view are made of, by the text of its definition. Pure, and says less rather than more: where a
 * column can't be followed by name, it is made of anything that the view looks at.
 */
import { parseSync } from './sql-parser.ts'

/** By position: names of the columns that an output is made of; undefined: of any. All undefined: not known at all. */
export type Lineage = readonly (readonly string[] | undefined)[] | undefined

type Node = Readonly<Record<string, unknown>>

/** `text` is one SELECT, as `pg_get_viewdef` writes it. */
export function lineageOf(text: string): Lineage {
  try {
    const { stmts = [] } = parseSync(text) as { stmts?: readonly { stmt?: { SelectStmt?: Node } }[] }
    const select = stmts[0]?.stmt?.SelectStmt
    if (stmts.length !== 1 || select === undefined || !isFlat(select)) return undefined
    return (select['targetList'] as readonly { ResTarget: Node }[]).map(({ ResTarget: target }) => {
      const names: (string | undefined)[] = []
      columnsIn(target['val'], names)
      return names.includes(undefined) ? undefined : (names as string[])
    })
  } catch {
    return undefined
  }
}

/** Reads tables by their own columns' names: no WITH, no UNION, nothing in FROM but tables and joins of them. */
function isFlat(select: Node): boolean {
  const { op, withClause, fromClause, targetList, valuesLists } = select
  if (op !== undefined && op !== 'SETOP_NONE') return false
  if (withClause !== undefined || valuesLists !== undefined || !Array.isArray(targetList)) return false
  return (Array.isArray(fromClause) ? fromClause : []).every(isTable)
}

function isTable(item: unknown): boolean {
  const { RangeVar: table, JoinExpr: join } = item as { RangeVar?: Node; JoinExpr?: Node }
  const alias = (table ?? join)?.['alias'] as Node | undefined
  if (alias?.['colnames'] !== undefined) return false
  return table !== undefined || (join !== undefined && isTable(join['larg']) && isTable(join['rarg']))
}

function columnsIn(value: unknown, names: (string | undefined)[]): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, each] of Object.entries(value)) {
    if (key === 'SubLink' || key === 'A_Indirection') names.push(undefined)
    else if (key === 'ColumnRef') names.push(columnOf(each as Node))
    else columnsIn(each, names)
  }
}

/** `table.column` or `column`; a star, or a name that may be a row's, is anything. */
function columnOf(node: Node): string | undefined {
  const fields = node['fields'] as readonly { String?: { sval?: string } }[]
  // The definition names the table of each column where there are several; one name alone may be a whole row.
  return fields.length > 2 ? undefined : fields.at(-1)?.String?.sval
}
