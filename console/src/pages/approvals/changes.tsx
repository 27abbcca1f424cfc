import type { ApprovalView, Change } from '../../api/views.ts'
import { Facts, Panel } from '../../parts/page.tsx'
import { visible } from '../../parts/visible.ts'

type Preview = NonNullable<ApprovalView['preview']>

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
  readonly preview: Preview
  readonly onChange: ApprovalView['on_change']
}) {
  if (preview.kind === 'run') return <Foreseen preview={preview} />
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

/** What the upstream itself expects of it: short facts, then what has several lines. */
function Foreseen({ preview: { foreseen = [], cut } }: { readonly preview: Preview }) {
  if (foreseen.length === 0) return null
  const short = foreseen.filter(each => !each.text.includes('\n'))
  const long = foreseen.filter(each => each.text.includes('\n'))
  return (
    <Panel title="What the server expects">
      <div className="stack">
        {short.length > 0 && <Facts of={short.map(each => [visible(each.name), visible(each.text)])} />}
        {long.map(each => (
          <div key={each.name}>
            <h3>{visible(each.name)}</h3>
            <pre className="code">{each.text.split('\n').map(visible).join('\n')}</pre>
          </div>
        ))}
        {cut && <p className="faint">And more.</p>}
      </div>
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
