import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, unwrap } from '../../api/client.ts'
import { connectionsQuery, facetsQuery } from '../../api/queries.ts'
import type { Explanation } from '../../api/views.ts'
import { Badge, type BadgeTone } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Field, SelectField, SuggestField } from '../../parts/field.tsx'
import { Failed } from '../../parts/states.tsx'

const risks = ['read', 'write', 'delete', 'admin'].map(value => ({ value, label: value }))
const kinds = ['agent', 'user', 'service'].map(value => ({ value, label: value }))
const words: Readonly<Record<string, { readonly tone: BadgeTone; readonly label: string }>> = {
  permit: { tone: 'good', label: 'allowed' },
  deny: { tone: 'bad', label: 'denied' },
  ask: { tone: 'warn', label: 'a person is asked' },
}
const tones: Readonly<Record<string, BadgeTone>> = {
  decided: 'accent',
  matched: 'good',
  failed: 'bad',
  shadow: 'odd',
}

interface Question {
  readonly connection: string
  readonly operation: string
  readonly risk: string
  readonly kind: string
  readonly groups: string
}

/** Who would be allowed what, by which rule, and why the other rules say nothing. */
export function Explain({ policy, isValid }: { readonly policy: string; readonly isValid: boolean }) {
  const [question, setQuestion] = useState<Question>({
    connection: '',
    operation: '',
    risk: 'read',
    kind: 'agent',
    groups: '',
  })
  const { data: connections } = useQuery(connectionsQuery)
  const { data: facets } = useQuery(facetsQuery({}))
  const connection = question.connection === '' ? (connections?.[0]?.name ?? '') : question.connection
  const set = (change: Partial<Question>): void => setQuestion(before => ({ ...before, ...change }))
  const ask = useMutation({ mutationFn: () => askPolicy(policy, { ...question, connection }) })
  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        ask.mutate()
      }}
    >
      <div className="filters explain-form">
        <SuggestField
          label="Operation"
          value={question.operation}
          suggestions={facets?.['operation']?.values.map(({ key }) => key) ?? []}
          placeholder="v1.updateMonitor"
          onChange={operation => set({ operation })}
        />
        <SelectField
          label="Connection"
          value={connection}
          choices={(connections ?? []).map(({ name }) => ({ value: name, label: name }))}
          onChange={value => set({ connection: value })}
        />
        <SelectField label="Risk" value={question.risk} choices={risks} onChange={risk => set({ risk })} />
        <SelectField label="Who" value={question.kind} choices={kinds} onChange={kind => set({ kind })} />
        <Field label="Their groups">
          {id => (
            <input
              id={id}
              className="input"
              placeholder="sre, platform"
              value={question.groups}
              onChange={event => set({ groups: event.target.value })}
            />
          )}
        </Field>
        <Button
          type="submit"
          tone="main"
          isDisabled={!isValid || question.operation === '' || connection === '' || ask.isPending}
        >
          Explain
        </Button>
      </div>
      {ask.error !== null && <Failed error={ask.error} />}
      {ask.data !== undefined && <Answer explanation={ask.data} />}
    </form>
  )
}

async function askPolicy(policy: string, question: Question): Promise<Explanation> {
  const groups = question.groups.split(/[\s,]+/).filter(each => each !== '')
  const body = {
    policy,
    connection: question.connection,
    subject: { kind: question.kind, groups },
    action: { operation: question.operation, risk: question.risk },
  }
  return (await unwrap(api.POST('/api/v1/policy/explain', { body: body as never }))) as unknown as Explanation
}

function Answer({ explanation: { decision, rules } }: { readonly explanation: Explanation }) {
  const said = words[decision.effect]
  return (
    <div className="stack" role="status">
      <div className="line">
        <Badge tone={said?.tone ?? 'plain'}>{said?.label ?? decision.effect}</Badge>
        <span>{decision.rule === undefined ? decision.reason : `by rule ${decision.rule}`}</span>
      </div>
      <ul className="accounts" aria-label="Rules">
        {rules.map(({ rule, outcome, because, condition }) => (
          <li key={rule}>
            <Badge tone={tones[outcome] ?? 'plain'}>{outcome.replace('-', ' ')}</Badge>
            <span>
              <code>{rule}</code>
              {because !== undefined && <span className="cell-sub">{because}</span>}
              {condition !== undefined && (
                <span className="cell-sub mono">
                  {condition.text} is {String(condition.result)}
                </span>
              )}
            </span>
          </li>
        ))}
      </ul>
    </div>
  )
}
