import { durationText } from '../../parts/time.tsx'

/** When it passed, since the action began. */
export function At({ at }: { readonly at: number }) {
  return <span className="faint number">+{durationText(at * 1000)}</span>
}
