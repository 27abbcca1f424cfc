import type { ComponentProps, ReactNode } from 'react'
import { Panel } from './page.tsx'
import { Shown } from './states.tsx'

/** A panel with a row for each of what was found; `none` in its place where there is nothing. */
export function RowsPanel<T extends { readonly id: string }>({
  title,
  label,
  tools,
  found,
  none,
  children,
}: {
  readonly title: string
  /** What the table is to who can't see it. */
  readonly label: string
  readonly tools?: ReactNode
  readonly found: ComponentProps<typeof Shown<readonly T[]>>['of']
  readonly none: ReactNode
  /** The cells of one row. */
  readonly children: (row: T) => ReactNode
}) {
  return (
    <Panel title={title} flush tools={tools}>
      <Shown of={found} lines={2}>
        {rows =>
          rows.length === 0 ? (
            none
          ) : (
            <table className="table" aria-label={label}>
              <tbody>
                {rows.map(row => (
                  <tr key={row.id}>{children(row)}</tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Shown>
    </Panel>
  )
}
