import type { ReactNode } from 'react'
import { Problem } from '../api/client.ts'
import { Button } from './button.tsx'

/** Nothing is there, why, and what to do about it. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="empty">
      <strong>{title}</strong>
      {children !== undefined && <p>{children}</p>}
    </div>
  )
}

export function Loading({ lines = 5 }: { readonly lines?: number }) {
  return (
    <div className="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  )
}

/** `children`: what is missing, without a full stop. */
export function NotForRole({ children }: { readonly children: ReactNode }) {
  return (
    <Empty title="This is not for your role">
      {children}. Roles come from your groups at the identity provider; an administrator maps them in the
      configuration.
    </Empty>
  )
}

/** What went wrong in the gateway's own words; a missing role is not an error but an answer. */
export function Failed({ error, onRetry }: { readonly error: unknown; readonly onRetry?: () => void }) {
  if (error instanceof Problem && error.status === 403) return <NotForRole>{error.message}</NotForRole>
  const known = error instanceof Problem
  return (
    <div className="empty" role="alert">
      <strong>{known ? error.title : 'The gateway could not be reached'}</strong>
      <p>{known ? error.message : 'The console goes on trying. What was open stays as it was.'}</p>
      {known && <code className="faint">{error.code}</code>}
      {onRetry !== undefined && <Button onPress={onRetry}>Try again</Button>}
    </div>
  )
}

interface Asked<T> {
  readonly data: T | undefined
  readonly error: unknown
  readonly refetch: () => unknown
}

/** The three states of what was asked for: on its way, failed, there. */
export function Shown<T>({
  of,
  lines,
  children,
}: {
  readonly of: Asked<T>
  readonly lines?: number
  readonly children: (data: T) => ReactNode
}) {
  if (of.data !== undefined) return children(of.data)
  if (of.error != null) return <Failed error={of.error} onRetry={() => void of.refetch()} />
  return <Loading {...(lines === undefined ? {} : { lines })} />
}
