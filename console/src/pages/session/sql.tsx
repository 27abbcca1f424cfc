import { masked } from '../../parts/code.tsx'
import { Panel } from '../../parts/page.tsx'
import { countText } from '../../parts/time.tsx'
import { visible } from '../../parts/visible.ts'
import { At } from './at.tsx'
import { type Head, pairsOf, headOf, type Piece, textOf } from './frames.ts'

/** Rows that are drawn; the recording has all. */
const mostRows = 200

export interface Result {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
  readonly total: number
  /** How the server ended it: `SELECT 3`. */
  readonly end: string
}

/** A head that names columns: rows follow, each a JSON array on its line. */
export function isResult(head: Head | undefined): boolean {
  return head?.status === 'columns'
}

export function resultOf(pieces: readonly Piece[], at: number): Result {
  const columns = pairsOf(headOf(pieces[at]!).headers).map(([name]) => name)
  const rest = pieces.slice(at + 1)
  const next = rest.findIndex(({ part }) => part === 'head')
  const bodies = next < 0 ? rest : rest.slice(0, next)
  const lines = bodies.flatMap(({ bytes }) => (textOf(bytes) ?? '').split('\n')).filter(line => line !== '')
  const rows = lines.slice(0, mostRows).flatMap(line => {
    try {
      return [JSON.parse(line) as (string | null)[]]
    } catch {
      return []
    }
  })
  const end = next < 0 ? undefined : headOf(rest[next]!).status
  return { columns, rows, total: lines.length, end: String(end ?? '') }
}

/** Rows as the client saw them: masks are masks, NULL is told apart from text. */
export function ResultTable({ result, at }: { readonly result: Result; readonly at: number }) {
  const { columns, rows, total } = result
  return (
    <Panel title={`${countText(total)} ${total === 1 ? 'row' : 'rows'}`} flush tools={<At at={at} />}>
      <div className="result" tabIndex={0} role="region" aria-label="Rows">
        <table className="table" aria-label="Rows that the statement gave">
          <thead>
            <tr>
              {columns.map((name, index) => (
                <th key={index} className="mono">
                  {visible(name)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={index}>
                {row.map((value, column) => (
                  <td key={column} className="mono">
                    {value === null ? <i className="faint">NULL</i> : masked(visible(value))}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {total > rows.length && (
        <p className="faint table-more">
          The first {countText(rows.length)} of {countText(total)}. The recording has all of them.
        </p>
      )}
    </Panel>
  )
}
