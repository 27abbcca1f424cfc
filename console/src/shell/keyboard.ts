import { useEffect, useRef } from 'react'

/** Keys that a page answers to: `j`, `?`, `g o` (one after the other), `Escape`. */
export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>

const sequenceMs = 1000

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  )
}

/** Answers keys while mounted: not while somebody types, nor while a dialog asks something. */
export function useKeys(keys: Keys): void {
  const latest = useRef(keys)
  useEffect(() => {
    latest.current = keys
  })
  useEffect(() => {
    let before = ''
    let at = 0
    const listen = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
      if (isTyping(event.target) || document.querySelector('[role="dialog"],[role="menu"]') !== null) return
      const sequence = event.timeStamp - at < sequenceMs ? `${before} ${event.key}` : ''
      const found = latest.current[sequence] ?? latest.current[event.key]
      before = event.key
      at = event.timeStamp
      if (found === undefined) return
      event.preventDefault()
      found(event)
    }
    document.addEventListener('keydown', listen)
    return () => document.removeEventListener('keydown', listen)
  }, [])
}

/** Moves the focus among the items of the page's list; they are what carries `data-item`. */
export function moveInList(step: 1 | -1): void {
  const items = [...document.querySelectorAll<HTMLElement>('main [data-item]')]
  if (items.length === 0) return
  const at = items.findIndex(each => each === document.activeElement)
  const next = at < 0 ? (step > 0 ? 0 : items.length - 1) : at + step
  items[Math.max(0, Math.min(items.length - 1, next))]?.focus()
}

/** Focuses the page's search field, if it has one. */
export function focusSearch(): boolean {
  const field = document.querySelector<HTMLInputElement>('main [data-search]')
  field?.focus()
  field?.select()
  return field !== null
}
