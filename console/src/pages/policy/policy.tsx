import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Tab, TabList, TabPanel, Tabs } from 'react-aria-components'
import { policyQuery } from '../../api/queries.ts'
import { api, unwrap } from '../../api/client.ts'
import { Badge, type BadgeTone } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Page, Panel } from '../../parts/page.tsx'
import { Shown } from '../../parts/states.tsx'
import { copy } from '../../parts/toast.tsx'
import { Editor } from './editor.tsx'
import { Explain } from './explain.tsx'
import { useCheck } from './use-check.ts'
import { Trial } from './trial.tsx'
import { Problems } from './problems.tsx'

/** The rules in force, and a place to try others: nothing here changes the gateway. */
export function Policy() {
  const policy = useQuery(policyQuery)
  return (
    <Page
      title="Policy"
      about="What is in force comes from the configuration. Edit it here to see what the edit would do, then put it in the file; nothing on this page changes the gateway."
    >
      <Shown of={policy} lines={10}>
        {({ rules, text, version }) => (
          <>
            <Rules rules={rules} version={version} />
            <Playground key={version} inForce={text} />
          </>
        )}
      </Shown>
    </Page>
  )
}

const effects: Readonly<Record<string, { readonly tone: BadgeTone; readonly label: string }>> = {
  allow: { tone: 'good', label: 'allow' },
  deny: { tone: 'bad', label: 'deny' },
  require_approval: { tone: 'warn', label: 'ask' },
}

interface RuleView {
  readonly name: string
  readonly effect: string
  readonly shadow: boolean
  readonly description?: string | undefined
}

function Rules({ rules, version }: { readonly rules: readonly RuleView[]; readonly version: string }) {
  return (
    <Panel
      title={`In force: ${rules.length} rules`}
      tools={<code className="faint clip policy-version">{version}</code>}
      flush
    >
      <table className="table" aria-label="Rules in force">
        <thead>
          <tr>
            <th>Effect</th>
            <th>Rule</th>
            <th>Meaning</th>
          </tr>
        </thead>
        <tbody>
          {rules.map(({ name, effect, shadow, description }) => (
            <tr key={name}>
              <td>
                <span className="line">
                  <Badge tone={effects[effect]?.tone ?? 'plain'}>{effects[effect]?.label ?? effect}</Badge>
                  {shadow && <Badge>only watches</Badge>}
                </span>
              </td>
              <td className="mono">{name}</td>
              <td className="soft">{description}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  )
}

function Playground({ inForce }: { readonly inForce: string }) {
  const [text, setText] = useState(inForce)
  const check = useCheck(text)
  const trial = useMutation({
    mutationFn: (from: string) => unwrap(api.POST('/api/v1/policy/try', { body: { policy: text, from } })),
  })
  const problems = check.data?.problems ?? []
  return (
    <Panel
      title="Playground"
      tools={
        <div className="line">
          <Button tone="quiet" isDisabled={text === inForce} onPress={() => setText(inForce)}>
            Back to what is in force
          </Button>
          <Button icon="copy" onPress={() => void copy(text, 'Policy')}>
            Copy
          </Button>
        </div>
      }
    >
      <div className="playground">
        <div className="stack">
          <Editor text={text} problems={problems} onChange={setText} />
          <Problems check={check} />
        </div>
        <Tabs className="stack">
          <TabList className="tabs-list" aria-label="What the policy does">
            <Tab id="try" className="tab">
              Recorded actions
            </Tab>
            <Tab id="explain" className="tab">
              Explain a decision
            </Tab>
          </TabList>
          <TabPanel id="try">
            <Trial trial={trial} isValid={problems.length === 0} />
          </TabPanel>
          <TabPanel id="explain">
            <Explain policy={text} isValid={problems.length === 0} />
          </TabPanel>
        </Tabs>
      </div>
    </Panel>
  )
}
