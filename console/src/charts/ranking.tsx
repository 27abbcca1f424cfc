import type { ReactNode } from 'react'
import { countText } from '../parts/time.tsx'

export interface Ranked {
  readonly key: string
  readonly total: number
}

/** Values by how often they occur, a bar behind each. A list, so that it reads as one. */
export function Ranking({
  values,
  label,
  link,
}: {
  readonly values: readonly Ranked[]
  readonly label: string
  readonly link: (key: string) => ReactNode
}) {
  const most = Math.max(1, ...values.map(({ total }) => total))
  return (
    <ol className="ranking" aria-label={label}>
      {values.map(({ key, total }) => (
        <li key={key}>
          <svg
            className="ranking-bar"
            width="100%"
            height="100%"
            aria-hidden="true"
            preserveAspectRatio="none"
          >
            <rect width={`${(total / most) * 100}%`} height="100%" rx="3" />
          </svg>
          <span className="ranking-key">{link(key)}</span>
          <span className="number">{countText(total)}</span>
        </li>
      ))}
    </ol>
  )
}
