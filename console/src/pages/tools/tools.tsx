import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ToolView } from '../../api/access-views.ts'
import { api, unwrap } from '../../api/client.ts'
import { toolsQuery } from '../../api/queries.ts'
import { Badge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { JsonCode } from '../../parts/code.tsx'
import { Ask } from '../../parts/dialog.tsx'
import { Page, Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { Ago } from '../../parts/time.tsx'
import { say } from '../../parts/toast.tsx'
import { visible } from '../../parts/visible.ts'

const tones = { accepted: 'good', changed: 'bad', new: 'warn' } as const

/** What upstreams offer by name. What changed since a person accepted it is used by nobody until one accepts it again. */
export function Tools() {
  const tools = useQuery({ ...toolsQuery, refetchInterval: 10_000 })
  return (
    <Page
      title="Tools"
      about="Definitions that MCP servers offer, held to the ones that were accepted. A tool whose description or arguments change under an agent is the oldest trick there is: the new one waits here."
    >
      <Shown of={tools} lines={6}>
        {found => {
          const waiting = found.filter(each => each.waiting !== undefined)
          return (
            <>
              <Panel title="Waiting for a person" flush>
                {waiting.length === 0 ? (
                  <Empty title="Nothing waits" />
                ) : (
                  <ToolTable tools={waiting} label="Tools that wait" />
                )}
              </Panel>
              <Panel title="Accepted" flush>
                {found.length === waiting.length ? (
                  <Empty title="None yet">
                    What a server offers appears here when a client first asks it.
                  </Empty>
                ) : (
                  <ToolTable
                    tools={found.filter(each => each.waiting === undefined)}
                    label="Accepted tools"
                  />
                )}
              </Panel>
            </>
          )
        }}
      </Shown>
    </Page>
  )
}

function ToolTable({ tools, label }: { readonly tools: readonly ToolView[]; readonly label: string }) {
  const [looked, setLooked] = useState<ToolView>()
  return (
    <>
      <table className="table" aria-label={label}>
        <tbody>
          {tools.map(tool => {
            const { connection, server, name, state, accepted, waiting } = tool
            const shown = waiting ?? accepted
            return (
              <tr key={`${connection} ${server} ${name}`}>
                <td>
                  <Badge tone={tones[state]}>{state}</Badge>
                </td>
                <td>
                  <span className="cell-main mono">{visible(name)}</span>
                  <span className="cell-sub">
                    {connection}
                    {server === '' || server === connection ? '' : ` · ${visible(server)}`}
                  </span>
                </td>
                <td className="hide-phone">
                  {accepted !== undefined && `accepted by ${visible(accepted.by)}`}
                </td>
                <td className="hide-phone">{shown !== undefined && <Ago at={shown.seen_at} />}</td>
                <td className="end">
                  <Button onPress={() => setLooked(tool)}>{waiting === undefined ? 'Look' : 'Review'}</Button>
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
      {looked !== undefined && <Review tool={looked} onClose={() => setLooked(undefined)} />}
    </>
  )
}

/** The definition as it was, and as it is now; what is accepted is exactly the one that was looked at, by its hash. */
function Review({ tool, onClose }: { readonly tool: ToolView; readonly onClose: () => void }) {
  const { connection, server, name, accepted, waiting } = tool
  const client = useQueryClient()
  const accept = useMutation({
    mutationFn: (pin: string) =>
      unwrap(api.POST('/api/v1/tools/accept', { body: { connection, server, name, pin } })),
    onSuccess: async () => {
      say(`${name} accepted`)
      onClose()
      await client.invalidateQueries({ queryKey: toolsQuery.queryKey })
    },
  })
  return (
    <Ask title={visible(name)} isOpen onClose={onClose}>
      <div className="stack">
        {waiting !== undefined && (
          <section>
            <h3>{accepted === undefined ? 'Offered' : 'Offered now'}</h3>
            <JsonCode value={waiting.definition} label="The definition that waits" />
            <code className="faint wrap">{waiting.pin}</code>
          </section>
        )}
        {accepted !== undefined && (
          <section>
            <h3>{waiting === undefined ? 'Accepted' : 'As it was accepted'}</h3>
            <JsonCode value={accepted.definition} label="The accepted definition" />
            <code className="faint wrap">{accepted.pin}</code>
          </section>
        )}
        {accept.error !== null && (
          <p className="form-error" role="alert">
            {accept.error.message}
          </p>
        )}
        <div className="dialog-actions">
          <Button onPress={onClose}>Close</Button>
          {waiting !== undefined && (
            <Button
              tone="main"
              icon="check"
              isDisabled={accept.isPending}
              onPress={() => accept.mutate(waiting.pin)}
            >
              Accept this definition
            </Button>
          )}
        </div>
      </div>
    </Ask>
  )
}
