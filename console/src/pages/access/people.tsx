import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, unwrap } from '../../api/client.ts'
import { usersQuery } from '../../api/queries.ts'
import { Badge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Ask } from '../../parts/dialog.tsx'
import { Field } from '../../parts/field.tsx'
import { RowsPanel } from '../../parts/rows-panel.tsx'
import { Empty } from '../../parts/states.tsx'
import { Time } from '../../parts/time.tsx'
import { copy, say } from '../../parts/toast.tsx'
import { visible } from '../../parts/visible.ts'

const roles = ['user', 'auditor', 'approver', 'admin'] as const
type Role = (typeof roles)[number]

export function People() {
  const found = useQuery(usersQuery)
  const none = <Empty title="None">Everybody signs in at an identity provider.</Empty>
  return (
    <RowsPanel
      title="People with a password here"
      label="People"
      tools={<Invite />}
      found={found}
      none={none}
    >
      {({ email, name, roles: held, active, created }) => (
        <>
          <td>
            <span className="cell-main">{visible(email)}</span>
            {name !== undefined && <span className="cell-sub">{visible(name)}</span>}
          </td>
          <td>{held.join(', ')}</td>
          <td>
            <Badge tone={active ? 'good' : 'warn'}>{active ? 'active' : 'invited'}</Badge>
          </td>
          <td className="hide-phone">
            <Time at={created} />
          </td>
          <td className="end">
            <Remove email={email} />
          </td>
        </>
      )}
    </RowsPanel>
  )
}

function Remove({ email }: { readonly email: string }) {
  const [isOpen, setOpen] = useState(false)
  const client = useQueryClient()
  const remove = useMutation({
    mutationFn: () => unwrap(api.DELETE('/api/v1/users/{email}', { params: { path: { email } } })),
    onSuccess: () => say(`${email} was removed`),
    onError: error => say(error.message),
    onSettled: () => {
      setOpen(false)
      return client.invalidateQueries({ queryKey: usersQuery.queryKey })
    },
  })
  return (
    <>
      <Button onPress={() => setOpen(true)}>Remove</Button>
      <Ask title={`Remove ${email}?`} isOpen={isOpen} onClose={() => setOpen(false)}>
        <p>Their sessions end at once, of browsers and of terminals. What they did stays in the log.</p>
        <div className="dialog-actions">
          <Button onPress={() => setOpen(false)}>Keep</Button>
          <Button tone="bad" isDisabled={remove.isPending} onPress={() => remove.mutate()}>
            Remove
          </Button>
        </div>
      </Ask>
    </>
  )
}

function Invite() {
  const [isOpen, setOpen] = useState(false)
  const [link, setLink] = useState<string>()
  const close = (): void => {
    setOpen(false)
    setLink(undefined)
  }
  return (
    <>
      <Button icon="identities" onPress={() => setOpen(true)}>
        Invite
      </Button>
      <Ask title="Invite a person" isOpen={isOpen} onClose={close}>
        {link === undefined ? (
          <InviteForm onLink={setLink} onCancel={close} />
        ) : (
          <div className="stack">
            <p>Give this link to that person alone. It works once, for a day, and is not shown again.</p>
            <code className="wrap">{link}</code>
            <div className="dialog-actions">
              <Button icon="copy" onPress={() => void copy(link, 'Link')}>
                Copy
              </Button>
              <Button tone="main" onPress={close}>
                Done
              </Button>
            </div>
          </div>
        )}
      </Ask>
    </>
  )
}

function InviteForm({
  onLink,
  onCancel,
}: {
  readonly onLink: (link: string) => void
  readonly onCancel: () => void
}) {
  const [email, setEmail] = useState('')
  const [held, setHeld] = useState<readonly Role[]>(['user'])
  const client = useQueryClient()
  const invite = useMutation({
    mutationFn: () => unwrap(api.POST('/api/v1/users', { body: { email: email.trim(), roles: [...held] } })),
    onSuccess: async ({ link }) => {
      onLink(link)
      await client.invalidateQueries({ queryKey: usersQuery.queryKey })
    },
  })
  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        invite.mutate()
      }}
    >
      <Field label="E-mail address">
        {id => (
          <input
            id={id}
            type="email"
            required
            className="input"
            value={email}
            onChange={event => setEmail(event.target.value)}
          />
        )}
      </Field>
      <Roles held={held} onChange={setHeld} />
      {invite.error !== null && (
        <p className="form-error" role="alert">
          {invite.error.message}
        </p>
      )}
      <div className="dialog-actions">
        <Button onPress={onCancel}>Cancel</Button>
        <Button tone="main" type="submit" isDisabled={invite.isPending || held.length === 0}>
          Make the link
        </Button>
      </div>
    </form>
  )
}

function Roles({
  held,
  onChange,
}: {
  readonly held: readonly Role[]
  readonly onChange: (held: readonly Role[]) => void
}) {
  return (
    <fieldset className="line">
      <legend>Roles</legend>
      {roles.map(role => (
        <label key={role} className="line">
          <input
            type="checkbox"
            checked={held.includes(role)}
            onChange={() =>
              onChange(held.includes(role) ? held.filter(each => each !== role) : [...held, role])
            }
          />
          {role}
        </label>
      ))}
    </fieldset>
  )
}
