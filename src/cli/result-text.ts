/** Rows of a recorded result as a table for reading. */
import { paint, visible } from './output.ts'

/** Rows that are drawn; `--json` gives all. */
const mostRows = 200
const widestCell = 60

/** A head that names columns: rows follow, each a JSON array on its line. */
export function isResult(head: { readonly status?: number | string } | undefined): boolean {
  return head?.status === 'columns'
}

/** Cells of text as the server writes it; NULL is told apart from text. Nothing in them acts on the terminal. */
export function resultText(columns: readonly string[], lines: string): string {
  const rows = lines.split('\n').filter(line => line !== '')
  const shown = rows.slice(0, mostRows).map(line => cellsOf(line))
  const heads = columns.map(name => cut(visible(name)))
  const widths = heads.map((head, at) =>
    Math.max(head.length, ...shown.map(row => row[at]?.text.length ?? 0)),
  )
  const line = (cells: readonly string[], between: string): string => cells.join(between).trimEnd()
  const out = [
    line(
      heads.map((head, at) => paint('bold', head.padEnd(widths[at]!))),
      ' | ',
    ),
    line(
      widths.map(width => '-'.repeat(width)),
      '-+-',
    ),
    ...shown.map(row =>
      line(
        row.map(({ text, isNull }, at) => {
          const padded = text.padEnd(widths[at] ?? 0)
          return isNull ? paint('dim', padded) : padded
        }),
        ' | ',
      ),
    ),
  ]
  if (rows.length > shown.length) out.push(paint('dim', `… and ${rows.length - shown.length} rows more`))
  return out.join('\n')
}

function cellsOf(line: string): { readonly text: string; readonly isNull: boolean }[] {
  try {
    const values = JSON.parse(line) as unknown[]
    return values.map(value => ({
      text: value === null ? 'NULL' : cut(visible(String(value))),
      isNull: value === null,
    }))
  } catch {
    // COPY gives lines as the server wrote them, and a recording may be cut amid one.
    return [{ text: cut(visible(line)), isNull: false }]
  }
}

function cut(text: string): string {
  return text.length <= widestCell ? text : `${text.slice(0, widestCell - 1)}…`
}
