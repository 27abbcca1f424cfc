import { useSyncExternalStore } from 'react'

interface Toast {
  readonly id: number
  readonly text: string
}

let toasts: readonly Toast[] = []
let count = 0
const listeners = new Set<() => void>()

function set(next: readonly Toast[]): void {
  toasts = next
  for (const each of listeners) each()
}

/** Says for some seconds what has happened. */
export function say(text: string): void {
  const toast = { id: ++count, text }
  set([...toasts.slice(-2), toast])
  setTimeout(() => set(toasts.filter(each => each !== toast)), 5000)
}

export function Toasts() {
  const shown = useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => toasts,
  )
  return (
    <div className="toast-region" role="status" aria-live="polite">
      {shown.map(({ id, text }) => (
        <div key={id} className="toast">
          {text}
        </div>
      ))}
    </div>
  )
}

/** Copies and says so. */
export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    say(`${what} copied`)
  } catch {
    say('The browser does not let this page copy')
  }
}
