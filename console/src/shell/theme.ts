import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'
const key = 'sallyport.theme'
const themes: readonly Theme[] = ['system', 'light', 'dark']
const listeners = new Set<() => void>()

function stored(): Theme {
  try {
    const value = localStorage.getItem(key)
    return themes.find(each => each === value) ?? 'system'
  } catch {
    // Storage may be forbidden; then the system's theme it is.
    return 'system'
  }
}

let theme = stored()

/** Puts the reader's choice in force. The colours themselves are in `design/tokens.css`. */
export function applyTheme(next: Theme = theme): void {
  theme = next
  if (next === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = next
  try {
    localStorage.setItem(key, next)
  } catch {
    // For this page only, then.
  }
  for (const each of listeners) each()
}

export function nextTheme(): void {
  applyTheme(themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'system')
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => theme,
  )
}
