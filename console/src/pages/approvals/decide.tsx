import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, unwrap } from '../../api/client.ts'
import type { ApprovalView } from '../../api/views.ts'
import { Button } from '../../parts/button.tsx'
import { Ask } from '../../parts/dialog.tsx'
import { Field } from '../../parts/field.tsx'
import { Panel } from '../../parts/page.tsx'
import { Ago } from '../../parts/time.tsx'
import { say } from '../../parts/toast.tsx'
import { visible } from '../../parts/visible.ts'
import { useKeys } from '../../shell/keyboard.ts'
import { useMe } from '../../shell/me.ts'

type Effect = 'approve' | 'deny'

/** The two buttons, for who may vote; for the others, why there are none. */
export function Decide({ approval }: { readonly approval: ApprovalView }) {
  const [effect, setEffect] = useState<Effect>()
  const { state, may_vote: mayVote, expires } = approval
  const canVote = state === 'pending' && mayVote
  useKeys(canVote ? { a: () => setEffect('approve'), d: () => setEffect('deny') } : {})
  return (
    <Panel title="Decision">
      {state !== 'pending' ? (
        <p className="soft">{ends[state]}</p>
      ) : canVote ? (
        <div className="stack">
          <div className="decide">
            <Button tone="main" icon="check" onPress={() => setEffect('approve')}>
              Approve <kbd>a</kbd>
            </Button>
            <Button tone="bad" icon="cross" onPress={() => setEffect('deny')}>
              Deny <kbd>d</kbd>
            </Button>
          </div>
          <p className="faint">
            Ends <Ago at={expires} />; the call is held meanwhile.
          </p>
        </div>
      ) : (
        <WhyNot approval={approval} />
      )}
      {effect !== undefined && (
        <Ballot approval={approval} effect={effect} onClose={() => setEffect(undefined)} />
      )}
    </Panel>
  )
}

const ends = {
  approved: 'Approved: it may run, once, as it was shown.',
  consumed: 'Approved, and it has run.',
  denied: 'Denied: it will not run.',
  expired: 'Nobody decided in time.',
  cancelled: 'It was withdrawn.',
}

function WhyNot({ approval: { approvers, requester } }: { readonly approval: ApprovalView }) {
  const { subject } = useMe()
  const own = requester.id === subject.id || requester.on_behalf_of?.id === subject.id
  return (
    <p className="soft">
      {own
        ? 'It is asked in your name: somebody else decides.'
        : `It is for ${approvers.map(visible).join(', ') || 'approvers'} to decide.`}
    </p>
  )
}

/** The second click: the reason, and yes or no. */
function Ballot({
  approval,
  effect,
  onClose,
}: {
  readonly approval: ApprovalView
  readonly effect: Effect
  readonly onClose: () => void
}) {
  const [reason, setReason] = useState('')
  const client = useQueryClient()
  const vote = useMutation({
    mutationFn: async () => {
      const body = { channel: 'console' as const, ...(reason === '' ? {} : { reason }) }
      const init = { params: { path: { id: approval.id } }, body }
      return await (effect === 'approve'
        ? unwrap(api.POST('/api/v1/approvals/{id}/approve', init))
        : unwrap(api.POST('/api/v1/approvals/{id}/deny', init)))
    },
    onSuccess: after => {
      client.setQueryData(['approval', approval.id], after)
      say(effect === 'approve' ? 'Your approval is recorded' : 'Denied, and recorded')
      onClose()
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['approvals'] }),
  })
  const isRequired = approval.reason_required === true
  return (
    <Ask title={effect === 'approve' ? 'Approve this action?' : 'Deny this action?'} isOpen onClose={onClose}>
      <p>
        <code>{visible(approval.operation)}</code> on {approval.connection}
      </p>
      <form
        className="stack"
        onSubmit={event => {
          event.preventDefault()
          if (!isRequired || reason.trim() !== '') vote.mutate()
        }}
      >
        <Field label={isRequired ? 'Reason (this rule asks for one)' : 'Reason, if you like'}>
          {id => (
            <input
              id={id}
              className="input"
              autoFocus
              maxLength={1000}
              required={isRequired}
              value={reason}
              onChange={event => setReason(event.target.value)}
            />
          )}
        </Field>
        {vote.error !== null && (
          <p role="alert" className="form-error">
            {vote.error.message}
          </p>
        )}
        <div className="dialog-actions">
          <Button onPress={onClose}>Not yet</Button>
          <Button type="submit" tone={effect === 'approve' ? 'main' : 'bad'} isDisabled={vote.isPending}>
            {effect === 'approve' ? 'Approve' : 'Deny'}
          </Button>
        </div>
      </form>
    </Ask>
  )
}
