import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { BrokenGlassView, GrantView } from '../../api/access-views.ts'
import { api, unwrap } from '../../api/client.ts'
import { brokenGlassQuery, grantsQuery } from '../../api/queries.ts'
import { StateBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Page } from '../../parts/page.tsx'
import { RowsPanel } from '../../parts/rows-panel.tsx'
import { Empty } from '../../parts/states.tsx'
import { nameOf } from '../../parts/subject.tsx'
import { Ago } from '../../parts/time.tsx'
import { say } from '../../parts/toast.tsx'
import { visible } from '../../parts/visible.ts'
import { BreakGlass } from './break-glass.tsx'

/** Consent for more than one action: grants, and broken glass. Everybody sees their own, who oversees all of them. */
export function Exceptions() {
  return (
    <Page
      title="Exceptions"
      about="For a while, less is asked: a grant lets someone repeat what would wait for an approval each time; broken glass lets one person through in an emergency, alarmed at once. Denials stay denials."
      tools={<BreakGlass />}
    >
      <Broken />
      <Grants />
    </Page>
  )
}

/** Ends one; the gateway says who may. */
function useEnd(what: 'grants' | 'break-glass', id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (): Promise<void> => {
      const params = { path: { id } }
      await (what === 'grants'
        ? unwrap(api.DELETE('/api/v1/grants/{id}', { params }))
        : unwrap(api.DELETE('/api/v1/break-glass/{id}', { params })))
    },
    onSuccess: () => say('Ended'),
    onError: error => say(error.message),
    onSettled: () => client.invalidateQueries({ queryKey: [what] }),
  })
}

function End({ what, id }: { readonly what: 'grants' | 'break-glass'; readonly id: string }) {
  const end = useEnd(what, id)
  return (
    <Button isDisabled={end.isPending} onPress={() => end.mutate()}>
      End now
    </Button>
  )
}

/** In which state it is, and who may do what why. */
function Whose({ state, who, why }: { readonly state: string; readonly who: string; readonly why: string }) {
  return (
    <>
      <td>
        <StateBadge state={state} />
      </td>
      <td>
        <span className="cell-main">{who}</span>
        <span className="cell-sub">{visible(why)}</span>
      </td>
    </>
  )
}

function Broken() {
  const found = useQuery({ ...brokenGlassQuery, refetchInterval: 10_000 })
  return (
    <RowsPanel
      title="Broken glass"
      label="Broken glass, newest first"
      found={found}
      none={<Empty title="Never broken" />}
    >
      {({ id, state, by, reason, connection, until }: BrokenGlassView) => (
        <>
          <Whose state={state} who={nameOf(by)} why={reason} />
          <td>{connection}</td>
          <td className="hide-phone">
            {state === 'active' ? 'ends ' : 'ended '}
            <Ago at={until} />
          </td>
          <td className="end">{state === 'active' && <End what="break-glass" id={id} />}</td>
        </>
      )}
    </RowsPanel>
  )
}

function Grants() {
  const found = useQuery({ ...grantsQuery, refetchInterval: 10_000 })
  const none = (
    <Empty title="None">
      <code>sallyport approvals grant</code> proposes one.
    </Empty>
  )
  return (
    <RowsPanel title="Grants" label="Grants" found={found} none={none}>
      {({ id, state, to, reason, operations, connection, risks, given_by: givers, until }: GrantView) => (
        <>
          <Whose state={state} who={nameOf(to)} why={reason} />
          <td>
            <span className="mono">{operations.map(visible).join(', ')}</span>
            <span className="cell-sub">
              {connection} · {risks.join(', ')}
            </span>
          </td>
          <td className="hide-phone">given by {givers.map(visible).join(', ') || 'nobody yet'}</td>
          <td className="hide-phone">
            until <Ago at={until} />
          </td>
          <td className="end">
            {(state === 'active' || state === 'proposed') && <End what="grants" id={id} />}
          </td>
        </>
      )}
    </RowsPanel>
  )
}
