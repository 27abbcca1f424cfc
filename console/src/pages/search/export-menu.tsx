import { Menu, MenuItem, MenuTrigger, Popover } from 'react-aria-components'
import type { EntriesQuery } from '../../api/views.ts'
import { Button } from '../../parts/button.tsx'
import { addressOf } from './query.ts'

const formats = [
  { format: 'ndjson', label: 'NDJSON: each entry exactly as in the log' },
  { format: 'csv', label: 'CSV: the main facts, for a spreadsheet' },
]

/** All that matches, as a file. The browser takes it as it is sent, however long. */
export function ExportMenu({ query }: { readonly query: EntriesQuery }) {
  return (
    <MenuTrigger>
      <Button icon="download">Export</Button>
      <Popover className="popover">
        <Menu aria-label="Format of the export" className="stack-tight">
          {formats.map(({ format, label }) => (
            <MenuItem
              key={format}
              className="menu-item"
              href={`/api/v1/audit/export?${addressOf(query)}&format=${format}`}
              download={`entries.${format}`}
            >
              {label}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  )
}
