import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { api, unwrap } from '../../api/client.ts'
import { deadLettersQuery } from '../../api/queries.ts'
import { Button } from '../../parts/button.tsx'
import { Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { say } from '../../parts/toast.tsx'
import { useMe } from '../../shell/me.ts'

interface Letter {
  readonly index: number | string
  readonly reason?: string
  readonly detail?: string
}

/** What a sink would not take: why, and the way to send it once more. */
export function DeadLetters({ sink }: { readonly sink: string }) {
  const letters = useQuery(deadLettersQuery(sink))
  return (
    <Panel title={`Dead letters of ${sink}`} flush>
      <Shown of={letters} lines={3}>
        {found => {
          const all = found as unknown as readonly Letter[]
          if (all.length === 0) return <Empty title="None">The sink has taken every record.</Empty>
          return (
            <table className="table" aria-label={`Dead letters of ${sink}`}>
              <thead>
                <tr>
                  <th>Entry</th>
                  <th>Why it was refused</th>
                  <th>
                    <span className="visually-hidden">Send again</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {all.map(letter => (
                  <LetterRow key={letter.index} sink={sink} letter={letter} />
                ))}
              </tbody>
            </table>
          )
        }}
      </Shown>
    </Panel>
  )
}

function LetterRow({ sink, letter }: { readonly sink: string; readonly letter: Letter }) {
  const { is } = useMe()
  const client = useQueryClient()
  const index = String(letter.index)
  const resend = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST('/api/v1/export/{sink}/dead-letters/{index}/resend', { params: { path: { sink, index } } }),
      ),
    onSuccess: ({ accepted, detail }) => say(accepted ? 'Taken' : `Refused again: ${detail ?? ''}`),
    onError: error => say(error.message),
    onSettled: () => client.invalidateQueries({ queryKey: ['dead-letters', sink] }),
  })
  return (
    <tr>
      <td>
        <Link to="/entries/$index" params={{ index }} data-item>
          {index}
        </Link>
      </td>
      <td>{letter.detail ?? letter.reason}</td>
      <td className="end">
        {is('admin') && (
          <Button onPress={() => resend.mutate()} isDisabled={resend.isPending}>
            Send again
          </Button>
        )}
      </td>
    </tr>
  )
}
