import { Ask } from '../parts/dialog.tsx'
import { places } from './places.ts'

type Shortcut = readonly [keys: string, meaning: string]

const everywhere: readonly Shortcut[] = [
  ['/', 'Search this page, or the log'],
  ['j', 'Next in the list'],
  ['k', 'Previous in the list'],
  ['Enter', 'Open'],
  ['t', 'Light, dark, or as the system'],
  ['?', 'These shortcuts'],
]
const onPages: readonly Shortcut[] = [
  ['p', 'Live: pause and go on'],
  ['a', 'An approval: approve'],
  ['d', 'An approval: deny'],
  ['[', 'A session: previous action'],
  [']', 'A session: next action'],
]

function List({ title, of }: { readonly title: string; readonly of: readonly Shortcut[] }) {
  return (
    <section>
      <h3>{title}</h3>
      <dl className="shortcut-list">
        {of.map(([keys, meaning]) => (
          <div key={keys}>
            <dt>{meaning}</dt>
            <dd>
              {keys.split(' ').map(key => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

export function ShortcutDialog({
  isOpen,
  onClose,
}: {
  readonly isOpen: boolean
  readonly onClose: () => void
}) {
  return (
    <Ask title="Keyboard shortcuts" isOpen={isOpen} onClose={onClose}>
      <List title="Everywhere" of={everywhere} />
      <List title="On a page" of={onPages} />
      <List title="Go to" of={places.map(({ key, label }) => [`g ${key}`, label] as const)} />
    </Ask>
  )
}
