import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { RestrictionView } from '../../api/access-views.ts'
import { api, unwrap } from '../../api/client.ts'
import { restrictionsQuery } from '../../api/queries.ts'
import { Badge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Panel } from '../../parts/page.tsx'
import { ReasonAsk } from '../../parts/reason-ask.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { nameOf } from '../../parts/subject.tsx'
import { Ago, Time } from '../../parts/time.tsx'
import { say } from '../../parts/toast.tsx'
import { visible } from '../../parts/visible.ts'
import { useMe } from '../../shell/me.ts'

const words = { suspend: 'suspended', ask: 'asks first', slow: 'slowed down' } as const

/** Identities that may do less than policy says, and the way to hold one back or let one go on. */
export function Restrictions() {
  const found = useQuery({ ...restrictionsQuery, refetchInterval: 10_000 })
  const { is } = useMe()
  const mayDecide = is('admin') || is('approver')
  return (
    <Panel title="Held back" flush tools={mayDecide && <Suspend />}>
      <Shown of={found} lines={2}>
        {restrictions => {
          const inForce = restrictions.filter(({ state }) => state === 'in-force')
          if (inForce.length === 0)
            return <Empty title="Nobody">Everybody may do what policy lets them.</Empty>
          return (
            <table className="table" aria-label="Identities that are held back">
              <tbody>
                {inForce.map(each => (
                  <Row key={each.id} restriction={each} mayDecide={mayDecide} />
                ))}
              </tbody>
            </table>
          )
        }}
      </Shown>
    </Panel>
  )
}

function Row({
  restriction,
  mayDecide,
}: {
  readonly restriction: RestrictionView
  readonly mayDecide: boolean
}) {
  const { id, kind, who, reason, detector, since, until } = restriction
  return (
    <tr>
      <td>
        <Badge tone={kind === 'suspend' ? 'bad' : 'warn'}>{words[kind]}</Badge>
      </td>
      <td>
        <span className="cell-main">{nameOf(who)}</span>
        <span className="cell-sub">{visible(reason)}</span>
      </td>
      <td className="hide-phone">{detector === undefined ? 'by a person' : `by ${detector}`}</td>
      <td>
        since <Time at={since} />
        {until !== undefined && (
          <span className="cell-sub">
            ends <Ago at={until} />
          </span>
        )}
      </td>
      <td className="end">{mayDecide && <Clear id={id} who={nameOf(who)} />}</td>
    </tr>
  )
}

function Clear({ id, who }: { readonly id: string; readonly who: string }) {
  const [isOpen, setOpen] = useState(false)
  const client = useQueryClient()
  const clear = useMutation({
    mutationFn: (reason: string) =>
      unwrap(
        api.POST('/api/v1/identities/suspended/{id}/clear', { params: { path: { id } }, body: { reason } }),
      ),
    onSuccess: async () => {
      setOpen(false)
      say(`${who} may act again`)
      await client.invalidateQueries({ queryKey: restrictionsQuery.queryKey })
    },
  })
  return (
    <>
      <Button onPress={() => setOpen(true)}>Let act again</Button>
      <ReasonAsk
        title={`Let ${who} act again?`}
        action="Let act again"
        isOpen={isOpen}
        error={clear.error}
        onClose={() => setOpen(false)}
        onReason={reason => clear.mutate(reason)}
      />
    </>
  )
}

function Suspend() {
  const [isOpen, setOpen] = useState(false)
  const [identity, setIdentity] = useState('')
  const client = useQueryClient()
  const suspend = useMutation({
    mutationFn: (reason: string) =>
      unwrap(api.POST('/api/v1/identities/suspend', { body: { identity: identity.trim(), reason } })),
    onSuccess: async () => {
      setOpen(false)
      say('Suspended; its sessions have ended')
      await client.invalidateQueries({ queryKey: restrictionsQuery.queryKey })
    },
  })
  return (
    <>
      <Button tone="bad" icon="stop" onPress={() => setOpen(true)}>
        Suspend an identity
      </Button>
      <ReasonAsk
        title="Suspend an identity"
        action="Suspend"
        tone="bad"
        isOpen={isOpen}
        error={suspend.error}
        subject={{ label: 'Id, e-mail address or name', value: identity, onChange: setIdentity }}
        onClose={() => setOpen(false)}
        onReason={reason => suspend.mutate(reason)}
      >
        It may do nothing on any connection, its sessions end, and only another person lets it act again.
      </ReasonAsk>
    </>
  )
}
