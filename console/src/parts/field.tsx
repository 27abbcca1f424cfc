import { type ReactNode, useId } from 'react'

/** A labelled control: `children` is given the id that its control must have. */
export function Field({
  label,
  wide = false,
  children,
}: {
  readonly label: string
  readonly wide?: boolean
  readonly children: (id: string) => ReactNode
}) {
  const id = useId()
  return (
    <div className={wide ? 'field wide' : 'field'}>
      <label htmlFor={id}>{label}</label>
      {children(id)}
    </div>
  )
}

export interface Choice {
  readonly value: string
  readonly label: string
}

/** One of few: the browser's own menu, which works everywhere and by every means. */
export function SelectField({
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
    <Field label={label}>
      {id => (
        <select id={id} className="input" value={value} onChange={event => onChange(event.target.value)}>
          {choices.map(each => (
            <option key={each.value} value={each.value}>
              {each.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

/** Text with suggestions: anything may be written. Reports on Enter and when it is left. */
export function SuggestField({
  label,
  value,
  suggestions,
  placeholder,
  onChange,
}: {
  readonly label: string
  readonly value: string
  readonly suggestions: readonly string[]
  readonly placeholder?: string
  readonly onChange: (value: string) => void
}) {
  const list = useId()
  return (
    <Field label={label}>
      {id => (
        <>
          <input
            id={id}
            key={value}
            className="input"
            list={list}
            defaultValue={value}
            placeholder={placeholder}
            autoComplete="off"
            spellCheck={false}
            onBlur={event => {
              if (event.target.value !== value) onChange(event.target.value.trim())
            }}
            onChange={event => {
              if (suggestions.includes(event.target.value)) onChange(event.target.value)
            }}
            onKeyDown={event => {
              if (event.key === 'Enter') onChange(event.currentTarget.value.trim())
            }}
          />
          <datalist id={list}>
            {suggestions.map(each => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </datalist>
        </>
      )}
    </Field>
  )
}
