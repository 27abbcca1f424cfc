import { type ReactNode, useState } from 'react'
import { Button, type Tone } from './button.tsx'
import { Ask } from './dialog.tsx'
import { Field } from './field.tsx'

/** A question whose answer needs a reason, which goes into the log. With `subject` it also asks for whom. */
export function ReasonAsk({
  title,
  action,
  tone = 'main',
  isOpen,
  error,
  subject,
  children,
  onClose,
  onReason,
}: {
  readonly title: string
  readonly action: string
  readonly tone?: Tone
  readonly isOpen: boolean
  readonly error: Error | null
  readonly subject?: {
    readonly label: string
    readonly value: string
    readonly onChange: (value: string) => void
  }
  readonly children?: ReactNode
  readonly onClose: () => void
  readonly onReason: (reason: string) => void
}) {
  const [reason, setReason] = useState('')
  const isReady = reason.trim() !== '' && subject?.value.trim() !== ''
  return (
    <Ask title={title} isOpen={isOpen} onClose={onClose}>
      <form
        className="stack"
        onSubmit={event => {
          event.preventDefault()
          if (isReady) onReason(reason.trim())
        }}
      >
        {children !== undefined && <div className="stack">{children}</div>}
        {subject !== undefined && (
          <Field label={subject.label}>
            {id => (
              <input
                id={id}
                className="input"
                value={subject.value}
                autoComplete="off"
                onChange={event => subject.onChange(event.target.value)}
              />
            )}
          </Field>
        )}
        <Field label="Reason, for the log">
          {id => (
            <input
              id={id}
              className="input"
              value={reason}
              maxLength={1000}
              onChange={event => setReason(event.target.value)}
            />
          )}
        </Field>
        {error !== null && (
          <p className="form-error" role="alert">
            {error.message}
          </p>
        )}
        <div className="dialog-actions">
          <Button onPress={onClose}>Cancel</Button>
          <Button tone={tone} type="submit" isDisabled={!isReady}>
            {action}
          </Button>
        </div>
      </form>
    </Ask>
  )
}
