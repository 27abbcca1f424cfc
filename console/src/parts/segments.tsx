import { ToggleButton, ToggleButtonGroup } from 'react-aria-components'
import type { Choice } from './field.tsx'

/** One of a few, all in sight. */
export function Segments({
  label,
  value,
  choices,
  onChange,
}: {
  readonly label: string
  readonly value: string
  readonly choices: readonly Choice[]
  readonly onChange: (value: string) => void
}) {
  return (
    <ToggleButtonGroup
      className="segments"
      aria-label={label}
      selectionMode="single"
      disallowEmptySelection
      selectedKeys={[value]}
      onSelectionChange={keys => {
        const [key] = [...keys]
        if (typeof key === 'string') onChange(key)
      }}
    >
      {choices.map(each => (
        <ToggleButton key={each.value} id={each.value} className="segment">
          {each.label}
        </ToggleButton>
      ))}
    </ToggleButtonGroup>
  )
}
