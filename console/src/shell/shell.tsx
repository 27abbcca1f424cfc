import { QueryErrorResetBoundary } from '@tanstack/react-query'
import { Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import { Suspense, useEffect, useRef, useState } from 'react'
import { Loading } from '../parts/states.tsx'
import { Toasts } from '../parts/toast.tsx'
import { focusSearch, moveInList, useKeys } from './keyboard.ts'
import { useMe } from './me.ts'
import { PhoneTabs, Side } from './nav.tsx'
import { places } from './places.ts'
import { ShortcutDialog } from './shortcuts.tsx'
import { nextTheme } from './theme.ts'

/** What is around every page once it is known who reads. */
export function Shell() {
  const [isHelpOpen, setHelpOpen] = useState(false)
  const main = useRef<HTMLElement>(null)
  useGlobalKeys(() => setHelpOpen(true))
  useFocusOnNewPage(main)
  const openHelp = (): void => setHelpOpen(true)
  return (
    <div className="shell">
      <a href="#main" className="skip">
        To the page
      </a>
      <Side onHelp={openHelp} />
      <main id="main" className="main" tabIndex={-1} ref={main}>
        <QueryErrorResetBoundary>
          <Suspense fallback={<Loading lines={8} />}>
            <Outlet />
          </Suspense>
        </QueryErrorResetBoundary>
      </main>
      <PhoneTabs onHelp={openHelp} />
      <ShortcutDialog isOpen={isHelpOpen} onClose={() => setHelpOpen(false)} />
      <Toasts />
    </div>
  )
}

function useGlobalKeys(onHelp: () => void): void {
  const navigate = useNavigate()
  const { is } = useMe()
  const goTo = Object.fromEntries(
    places
      .filter(place => is(place.role))
      .map(({ key, to }) => [`g ${key}`, () => void navigate({ to })] as const),
  )
  useKeys({
    ...goTo,
    '?': onHelp,
    t: nextTheme,
    j: () => moveInList(1),
    k: () => moveInList(-1),
    '/': () => {
      if (!focusSearch()) void navigate({ to: '/search' })
    },
  })
}

/** A new page is read from its beginning, by eye and by screen reader. */
function useFocusOnNewPage(main: { readonly current: HTMLElement | null }): void {
  const path = useRouterState({ select: state => state.location.pathname })
  const before = useRef(path)
  useEffect(() => {
    if (before.current === path) return
    before.current = path
    main.current?.focus({ preventScroll: true })
    window.scrollTo(0, 0)
  }, [path, main])
}
