import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { BrokenGlassView, GrantView } from '../../api/access-views.ts'
import { api, unwrap } from '../../api/client.ts'
import { brokenGlassQuery, grantsQuery } from '../../api/queries.ts'
import { StateBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Page, Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
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

function Broken() {
  const found = useQuery({ ...brokenGlassQuery, refetchInterval: 10_000 })
  return (
    <Panel title="Broken glass" flush>
      <Shown of={found} lines={2}>
        {all =>
          all.length === 0 ? (
            <Empty title="Never broken" />
          ) : (
            <table className="table" aria-label="Broken glass, newest first">
              <tbody>
                {all.map((each: BrokenGlassView) => (
                  <tr key={each.id}>
                    <td>
                      <StateBadge state={each.state} />
                    </td>
                    <td>
                      <span className="cell-main">{nameOf(each.by)}</span>
                      <span className="cell-sub">{visible(each.reason)}</span>
                    </td>
                    <td>{each.connection}</td>
                    <td className="hide-phone">
                      {each.state === 'active' ? 'ends ' : 'ended '}
                      <Ago at={each.until} />
                    </td>
                    <td className="end">
                      {each.state === 'active' && <End what="break-glass" id={each.id} />}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Shown>
    </Panel>
  )
}

function Grants() {
  const found = useQuery({ ...grantsQuery, refetchInterval: 10_000 })
  return (
    <Panel title="Grants" flush>
      <Shown of={found} lines={2}>
        {all =>
          all.length === 0 ? (
            <Empty title="None">
              <code>sallyport approvals grant</code> proposes one.
            </Empty>
          ) : (
            <table className="table" aria-label="Grants">
              <tbody>
                {all.map((each: GrantView) => (
                  <tr key={each.id}>
                    <td>
                      <StateBadge state={each.state} />
                    </td>
                    <td>
                      <span className="cell-main">{nameOf(each.to)}</span>
                      <span className="cell-sub">{visible(each.reason)}</span>
                    </td>
                    <td>
                      <span className="mono">{each.operations.map(visible).join(', ')}</span>
                      <span className="cell-sub">
                        {each.connection} · {each.risks.join(', ')}
                      </span>
                    </td>
                    <td className="hide-phone">
                      given by {each.given_by.map(visible).join(', ') || 'nobody yet'}
                    </td>
                    <td className="hide-phone">
                      until <Ago at={each.until} />
                    </td>
                    <td className="end">
                      {(each.state === 'active' || each.state === 'proposed') && (
                        <End what="grants" id={each.id} />
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Shown>
    </Panel>
  )
}
