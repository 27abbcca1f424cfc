import { useQuery } from '@tanstack/react-query'
import { kindSets } from '../../api/kinds.ts'
import { facetsQuery } from '../../api/queries.ts'
import { Button } from '../../parts/button.tsx'
import { Field, SelectField, SuggestField } from '../../parts/field.tsx'
import type { SearchParams } from '../../search-params.ts'
import { outcomes, standardSince } from './query.ts'

const ranges = [
  { value: '15m', label: 'Last 15 minutes' },
  { value: '1h', label: 'Last hour' },
  { value: '24h', label: 'Last 24 hours' },
  { value: '7d', label: 'Last 7 days' },
  { value: '30d', label: 'Last 30 days' },
  { value: 'all', label: 'All of the log' },
]
const shows = Object.entries(kindSets).map(([value, { label }]) => ({ value, label }))
const outcomeChoices = [{ value: '', label: 'any' }, ...outcomes.map(value => ({ value, label: value }))]

interface FiltersProps {
  readonly search: SearchParams
  readonly onChange: (change: Readonly<Record<string, string | undefined>>) => void
}

/** Every filter of the API, with what the log holds as suggestions. */
export function Filters({ search, onChange }: FiltersProps) {
  const { data: facets } = useQuery(facetsQuery({}))
  const values = (field: string): readonly string[] => facets?.[field]?.values.map(each => each.key) ?? []
  return (
    <form className="filters" role="search" aria-label="Entries" onSubmit={event => event.preventDefault()}>
      <Words search={search} onChange={onChange} />
      <SuggestField
        label="Identity"
        value={search.identity ?? ''}
        suggestions={values('identity')}
        placeholder="anyone"
        onChange={identity => onChange({ identity })}
      />
      <SuggestField
        label="Connection"
        value={search.connection ?? ''}
        suggestions={values('connection')}
        placeholder="any"
        onChange={connection => onChange({ connection })}
      />
      <SuggestField
        label="Operation"
        value={search.operation ?? ''}
        suggestions={values('operation')}
        placeholder="any"
        onChange={operation => onChange({ operation })}
      />
      <SelectField
        label="Outcome"
        value={search.outcome ?? ''}
        choices={outcomeChoices}
        onChange={outcome => onChange({ outcome })}
      />
      <SelectField
        label="Kind"
        value={search.show ?? 'actions'}
        choices={shows}
        onChange={value => onChange({ show: value, kind: undefined })}
      />
      <TimeRange search={search} onChange={onChange} />
      <Narrowed search={search} onChange={onChange} />
    </form>
  )
}

function Words({ search, onChange }: FiltersProps) {
  const text = search.text ?? ''
  return (
    <Field label="Words" wide>
      {id => (
        <input
          id={id}
          key={text}
          className="input"
          data-search
          type="search"
          placeholder="All must occur in the entry"
          defaultValue={text}
          onBlur={event => {
            if (event.target.value !== text) onChange({ text: event.target.value })
          }}
          onKeyDown={event => {
            if (event.key === 'Enter') onChange({ text: event.currentTarget.value })
          }}
        />
      )}
    </Field>
  )
}

/** Filters that a link set and that have no field of their own: shown, so that they can be taken away. */
function Narrowed({ search, onChange }: FiltersProps) {
  const { kind, session, approval, action } = search
  const set = Object.entries({ kind, session, approval, action }).filter(([, value]) => value !== undefined)
  return set.map(([name, value]) => (
    <Button
      key={name}
      tone="quiet"
      icon="cross"
      aria-label={`Remove the filter ${name}`}
      onPress={() => onChange({ [name]: undefined })}
    >
      <span className="clip filter-chip">
        {name} {value}
      </span>
    </Button>
  ))
}

/** A date and time field takes and gives the reader's own time, without a zone. */
function localInput(instant: string | undefined): string {
  const at = Date.parse(instant ?? '')
  if (!Number.isFinite(at)) return ''
  const offset = new Date(at).getTimezoneOffset() * 60_000
  return new Date(at - offset).toISOString().slice(0, 19)
}

/** A moment in the reader's own time; what is emptied is undefined. */
function MomentField({
  label,
  value,
  onChange,
}: {
  readonly label: string
  readonly value: string | undefined
  readonly onChange: (value: string | undefined) => void
}) {
  return (
    <Field label={label}>
      {id => (
        <input
          id={id}
          className="input"
          type="datetime-local"
          step="1"
          value={localInput(value)}
          onChange={({ target }) =>
            onChange(target.value === '' ? undefined : new Date(target.value).toISOString())
          }
        />
      )}
    </Field>
  )
}

function TimeRange({ search, onChange }: FiltersProps) {
  const { since = standardSince, until } = search
  const isExact = !ranges.some(each => each.value === since) || until !== undefined
  const hour = 3_600_000
  return (
    <>
      <SelectField
        label="Time"
        value={isExact ? 'exact' : since}
        choices={[...ranges, { value: 'exact', label: 'Between two times' }]}
        onChange={value =>
          value === 'exact'
            ? onChange({
                since: new Date(Date.now() - hour).toISOString(),
                until: new Date().toISOString(),
              })
            : onChange({ since: value, until: undefined })
        }
      />
      {isExact && (
        <>
          <MomentField
            label="From (your time)"
            value={since}
            onChange={value => {
              if (value !== undefined) onChange({ since: value })
            }}
          />
          <MomentField
            label="Until (your time)"
            value={until}
            onChange={value => onChange({ until: value })}
          />
        </>
      )}
    </>
  )
}
