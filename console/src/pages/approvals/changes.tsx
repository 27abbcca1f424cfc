import type { ApprovalView, Change } from '../../api/views.ts'
import { Panel } from '../../parts/page.tsx'
import { visible } from '../../parts/visible.ts'

const titles = { create: 'This creates', update: 'This changes', delete: 'This deletes' }
const afterwards = {
  run: 'it runs all the same',
  ask: 'it is asked again',
  refuse: 'it is refused',
}

function valueText(value: unknown): string {
  return visible(typeof value === 'string' ? value : JSON.stringify(value))
}

/** The diff: before and after of each field, found by the gateway and not told by the agent. */
export function Changes({
  preview,
  onChange,
}: {
  readonly preview: NonNullable<ApprovalView['preview']>
  readonly onChange: ApprovalView['on_change']
}) {
  return (
    <Panel title={titles[preview.kind]}>
      {preview.changes.length === 0 ? (
        <p className="soft">Nothing: the resource is that way already.</p>
      ) : (
        <ul className="diff" aria-label="Changes">
          {preview.changes.map(change => (
            <DiffItem key={change.path} change={change} />
          ))}
        </ul>
      )}
      {preview.cut && <p className="faint">And more; the request below has all of it.</p>}
      {onChange !== undefined && preview.kind !== 'create' && (
        <p className="faint">If the resource changes before it runs, {afterwards[onChange]}.</p>
      )}
    </Panel>
  )
}

function DiffItem({ change: { path, before, after } }: { readonly change: Change }) {
  return (
    <li>
      <code className="diff-path">{visible(path)}</code>
      {before !== undefined && (
        <del>
          <span aria-hidden="true">−</span>
          <span className="visually-hidden">before: </span>
          {valueText(before)}
        </del>
      )}
      {after !== undefined && (
        <ins>
          <span aria-hidden="true">+</span>
          <span className="visually-hidden">after: </span>
          {valueText(after)}
        </ins>
      )}
    </li>
  )
}
