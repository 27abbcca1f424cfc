import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, unwrap } from '../../api/client.ts'
import type { SessionView } from '../../api/views.ts'
import { Button } from '../../parts/button.tsx'
import { Ask } from '../../parts/dialog.tsx'
import { nameOf } from '../../parts/subject.tsx'
import { say } from '../../parts/toast.tsx'

/** Ends a running session, after a second look at whose it is. */
export function KillSession({ session }: { readonly session: SessionView }) {
  const [isOpen, setOpen] = useState(false)
  const client = useQueryClient()
  const { id, subject, connection } = session
  const kill = useMutation({
    mutationFn: () => unwrap(api.DELETE('/api/v1/sessions/{id}', { params: { path: { id } } })),
    onSuccess: () => say('The session has ended'),
    onError: error => say(error.message),
    onSettled: async () => {
      setOpen(false)
      await client.invalidateQueries({ queryKey: ['session', id] })
    },
  })
  return (
    <>
      <Button tone="bad" icon="stop" onPress={() => setOpen(true)}>
        End session
      </Button>
      <Ask title="End this session?" isOpen={isOpen} onClose={() => setOpen(false)}>
        <p>
          What {nameOf(subject)} is doing on {connection.name} is cut, and its client gets an error. Its next
          action begins another session. To keep an identity out, change the policy.
        </p>
        <div className="dialog-actions">
          <Button onPress={() => setOpen(false)}>Let it run</Button>
          <Button tone="bad" autoFocus isDisabled={kill.isPending} onPress={() => kill.mutate()}>
            End session
          </Button>
        </div>
      </Ask>
    </>
  )
}
