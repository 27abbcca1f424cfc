import type { UseMutationResult } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { PolicyTrial } from '../../api/views.ts'
import { Badge, type BadgeTone } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { SelectField } from '../../parts/field.tsx'
import { Empty, Failed, Loading } from '../../parts/states.tsx'
import { countText, Time } from '../../parts/time.tsx'
import { visible } from '../../parts/visible.ts'

const ranges = [
  { value: '24h', label: 'Last 24 hours' },
  { value: '7d', label: 'Last 7 days' },
  { value: '30d', label: 'Last 30 days' },
]

const outcomes: Readonly<Record<string, { readonly tone: BadgeTone; readonly words: string }>> = {
  permit: { tone: 'good', words: 'would have been allowed' },
  deny: { tone: 'bad', words: 'would have been denied' },
  ask: { tone: 'warn', words: 'would have waited for a person' },
}
const befores: Readonly<Record<string, string>> = {
  permit: 'allowed',
  deny: 'denied',
  ask: 'asked',
}

interface TrialProps {
  readonly trial: UseMutationResult<PolicyTrial, Error, string>
  readonly isValid: boolean
}

/** The edit against what was really done: which of these actions would have come out otherwise. */
export function Trial({ trial, isValid }: TrialProps) {
  const [range, setRange] = useState('7d')
  return (
    <div className="stack">
      <div className="line trial-start">
        <SelectField label="Actions of the" value={range} choices={ranges} onChange={setRange} />
        <Button tone="main" isDisabled={!isValid || trial.isPending} onPress={() => trial.mutate(range)}>
          Try against recorded actions
        </Button>
      </div>
      {trial.isPending ? (
        <Loading lines={4} />
      ) : trial.error !== null ? (
        <Failed error={trial.error} />
      ) : trial.data === undefined ? (
        <Empty title="Not tried yet">
          The policy on the left is asked about each recorded action again. Nothing runs.
        </Empty>
      ) : (
        <TrialResult result={trial.data} />
      )}
    </div>
  )
}

function TrialResult({ result }: { readonly result: PolicyTrial }) {
  const { examined, same, changed, undetermined, complete } = result
  return (
    <div className="stack" role="status">
      <p>
        Of {countText(examined)} actions <strong>{countText(same)}</strong> come out the same.
        {!complete && ' There are more; these are the newest.'}
      </p>
      {changed.length === 0 && undetermined.count === 0 && (
        <div className="banner" data-tone="good">
          No recorded action would have come out otherwise.
        </div>
      )}
      {changed.map(each => (
        <section key={`${each.before} ${each.after}`} className="stack-tight">
          <div className="line">
            <Badge tone={outcomes[each.after]?.tone ?? 'plain'}>{countText(each.count)}</Badge>
            <strong>{outcomes[each.after]?.words ?? each.after}</strong>
            <span className="faint">(then: {befores[each.before] ?? each.before})</span>
          </div>
          <Samples samples={each.samples} />
        </section>
      ))}
      {undetermined.count > 0 && (
        <section className="stack-tight">
          <div className="line">
            <Badge>{countText(undetermined.count)}</Badge>
            <strong>can’t be told from the log alone</strong>
          </div>
          <ul className="soft">
            {undetermined.rules.map(({ rule, needs, count }) => (
              <li key={rule}>
                rule <code>{rule}</code> looks at {needs.join(', ')} ({countText(count)})
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  )
}

function Samples({ samples }: { readonly samples: PolicyTrial['changed'][number]['samples'] }) {
  return (
    <div className="scroll-x">
      <table className="table" aria-label="Samples">
        <tbody>
          {samples.map(({ seq, time, subject, operation, connection, rule }) => (
            <tr key={seq}>
              <td>
                <Link to="/entries/$index" params={{ index: seq }} data-item>
                  <Time at={time} />
                </Link>
              </td>
              <td>{visible(subject)}</td>
              <td>
                <span className="mono">{visible(operation)}</span>
                <span className="cell-sub">
                  {connection}
                  {rule !== undefined && `, by ${rule}`}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
