import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, unwrap } from '../../api/client.ts'
import { tokensQuery } from '../../api/queries.ts'
import { Badge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { nameOf } from '../../parts/subject.tsx'
import { Ago, Time } from '../../parts/time.tsx'
import { say } from '../../parts/toast.tsx'
import { visible } from '../../parts/visible.ts'

/** Tokens of machines; never the tokens themselves, which were seen once, by who made them. */
export function Tokens() {
  const tokens = useQuery(tokensQuery)
  return (
    <Panel title="Tokens of machines" flush>
      <Shown of={tokens} lines={2}>
        {found =>
          found.length === 0 ? (
            <Empty title="None">
              <code>sallyport token create</code> makes one, and shows it once.
            </Empty>
          ) : (
            <table className="table" aria-label="Tokens">
              <thead>
                <tr>
                  <th>Token</th>
                  <th>Stands for</th>
                  <th className="hide-phone">Made</th>
                  <th className="hide-phone">Last used</th>
                  <th>Ends</th>
                  <th>
                    <span className="visually-hidden">Revoke</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {found.map(({ id, name, subject, created, expires, last_used: used, revoked }) => (
                  <tr key={id}>
                    <td>
                      <span className="cell-main">{visible(name)}</span>
                      <span className="cell-sub mono">{id}</span>
                    </td>
                    <td>
                      {nameOf(subject)} <Badge>{subject.kind}</Badge>
                    </td>
                    <td className="hide-phone">
                      <Time at={created} />
                    </td>
                    <td className="hide-phone">{used === undefined ? 'never' : <Ago at={used} />}</td>
                    <td>
                      {revoked === undefined ? <Ago at={expires} /> : <Badge tone="bad">revoked</Badge>}
                    </td>
                    <td className="end">{revoked === undefined && <Revoke id={id} />}</td>
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

function Revoke({ id }: { readonly id: string }) {
  const client = useQueryClient()
  const revoke = useMutation({
    mutationFn: () => unwrap(api.DELETE('/api/v1/tokens/{id}', { params: { path: { id } } })),
    onSuccess: () => say('Revoked'),
    onError: error => say(error.message),
    onSettled: () => client.invalidateQueries({ queryKey: tokensQuery.queryKey }),
  })
  return (
    <Button isDisabled={revoke.isPending} onPress={() => revoke.mutate()}>
      Revoke
    </Button>
  )
}
