import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, unwrap } from '../../api/client.ts'
import { brokenGlassQuery, connectionsQuery } from '../../api/queries.ts'
import { Button } from '../../parts/button.tsx'
import { SelectField } from '../../parts/field.tsx'
import { ReasonAsk } from '../../parts/reason-ask.tsx'
import { say } from '../../parts/toast.tsx'

const durations = ['15m', '30m', '1h'].map(value => ({ value, label: value }))

/** In an emergency. Who may is configured, and the gateway refuses everyone else. */
export function BreakGlass() {
  const [isOpen, setOpen] = useState(false)
  const [connection, setConnection] = useState('')
  const [duration, setDuration] = useState('15m')
  const { data: connections = [] } = useQuery(connectionsQuery)
  const client = useQueryClient()
  const chosen = connection === '' ? (connections[0]?.name ?? '') : connection
  const declare = useMutation({
    mutationFn: (reason: string) =>
      unwrap(api.POST('/api/v1/break-glass', { body: { connection: chosen, reason, duration } })),
    onSuccess: async () => {
      setOpen(false)
      say('The glass is broken; everybody who watches was told')
      await client.invalidateQueries({ queryKey: brokenGlassQuery.queryKey })
    },
  })
  return (
    <>
      <Button tone="bad" icon="warning" onPress={() => setOpen(true)}>
        Break glass
      </Button>
      <ReasonAsk
        title="Break glass"
        action="Break glass"
        tone="bad"
        isOpen={isOpen}
        error={declare.error}
        onClose={() => setOpen(false)}
        onReason={reason => declare.mutate(reason)}
      >
        <p>
          What would wait for an approval on this connection passes meanwhile, for you and for agents that act
          for you. The reason goes to the log and to everybody who is notified.
        </p>
        <div className="line">
          <SelectField
            label="Connection"
            value={chosen}
            choices={connections.map(({ name }) => ({ value: name, label: name }))}
            onChange={setConnection}
          />
          <SelectField label="For" value={duration} choices={durations} onChange={setDuration} />
        </div>
      </ReasonAsk>
    </>
  )
}
