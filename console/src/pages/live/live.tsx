import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useDeferredValue, useMemo, useRef, useState } from 'react'
import { type KindSet, kindSets } from '../../api/kinds.ts'
import { statusQuery } from '../../api/queries.ts'
import { useStream } from '../../api/use-stream.ts'
import type { EntryView } from '../../api/views.ts'
import { Button } from '../../parts/button.tsx'
import { EntryTable } from '../../parts/entry-table.tsx'
import { entryHaystack } from '../../parts/entry-text.ts'
import { Icon } from '../../parts/icon.tsx'
import { Page } from '../../parts/page.tsx'
import { Segments } from '../../parts/segments.tsx'
import { Empty, Failed, Loading, NotForRole } from '../../parts/states.tsx'
import { useKeys } from '../../shell/keyboard.ts'
import { useMe } from '../../shell/me.ts'
import { addToFeed, type Feed } from './feed.ts'

/** Entries from before the page was opened, so that it does not begin empty. */
const before = 200
const route = getRouteApi('/shell/live')
const choices = [
  { value: 'actions', label: 'Actions' },
  { value: 'approvals', label: 'Approvals' },
  { value: 'access', label: 'Access' },
  { value: 'everything', label: 'Everything' },
]

/** What happens, as it happens. A stream that is refused says no more than one that is lost, so the role is asked first. */
export function Live() {
  const { is } = useMe()
  if (is('auditor')) return <LiveFeed />
  return (
    <Page title="Live">
      <NotForRole>It needs the role auditor</NotForRole>
    </Page>
  )
}

function LiveFeed() {
  const { text = '', show = 'actions' } = route.useSearch()
  const navigate = route.useNavigate()
  const { feed, isPaused, waiting, toggle, state, error } = useFeed()
  const wanted = useDeferredValue(text.toLowerCase())
  const kinds = useMemo(() => new Set<string>(kindSets[show as KindSet]?.kinds ?? []), [show])
  const shown = useMemo(
    () =>
      feed.filter(
        entry =>
          passes(entry, kinds, show) &&
          wanted.split(/\s+/).every(word => word === '' || entryHaystack(entry).includes(word)),
      ),
    [feed, kinds, show, wanted],
  )
  useKeys({ p: toggle })
  const set = (change: Readonly<Record<string, string>>): void =>
    void navigate({ search: earlier => ({ ...earlier, ...change }), replace: true })
  return (
    <Page
      title="Live"
      tools={
        <>
          <span className="line soft" role="status">
            <span className="pulse" data-on={state === 'open' && !isPaused} />
            {isPaused ? `paused, ${waiting} waiting` : state === 'open' ? 'following the log' : 'connecting'}
          </span>
          <Button icon={isPaused ? 'play' : 'pause'} onPress={toggle}>
            {isPaused ? 'Go on' : 'Pause'}
          </Button>
        </>
      }
    >
      <div className="line">
        <label className="search">
          <span className="visually-hidden">Filter the feed</span>
          <Icon name="search" />
          <input
            className="input"
            data-search
            type="search"
            placeholder="Filter as you type: an identity, an operation, a word"
            value={text}
            onChange={event => set({ text: event.target.value })}
          />
        </label>
        <Segments label="Show" value={show} choices={choices} onChange={value => set({ show: value })} />
      </div>
      <div className="panel scroll-x">
        {error != null ? (
          <Failed error={error} />
        ) : state === 'connecting' && feed.length === 0 ? (
          <Loading lines={8} />
        ) : shown.length === 0 ? (
          <Empty title={text === '' ? 'Nothing has happened yet' : 'Nothing like that has passed'}>
            {text === ''
              ? 'Each action appears here the moment it is durable in the log, before it is forwarded.'
              : 'Only what passed since the page was opened is looked through; the search has all of the log.'}
          </Empty>
        ) : (
          <EntryTable entries={shown} label="Entries, newest first" />
        )}
      </div>
    </Page>
  )
}

function passes(entry: EntryView, kinds: ReadonlySet<string>, show: string): boolean {
  if (show === 'actions') return entry.kind.startsWith('action.')
  return kinds.size === 0 ? entry.kind !== 'heartbeat' : kinds.has(entry.kind)
}

/** The newest entries, one for each action; while paused they are kept back. */
function useFeed() {
  // Asked once, under a key of its own: where the feed begins must not move.
  const { data: from, error } = useQuery({
    queryKey: ['live-start'],
    gcTime: 0,
    staleTime: Infinity,
    queryFn: async ({ client }) => {
      const { log } = await client.fetchQuery({ ...statusQuery, staleTime: 0 })
      return Math.max(0, log.size - before)
    },
  })
  const [feed, setFeed] = useState<Feed>([])
  const [isPaused, setPaused] = useState(false)
  const [waiting, setWaiting] = useState(0)
  const kept = useRef<EntryView[]>([])
  const due = useRef(false)
  const flush = (): void => {
    due.current = false
    const entries = kept.current
    kept.current = []
    setWaiting(0)
    if (entries.length > 0) setFeed(now => entries.reduce(addToFeed, now))
  }
  const paused = useRef(false)
  const state = useStream(from === undefined ? undefined : `/api/v1/audit/stream?from=${from}`, {
    entry: data => {
      kept.current = [...kept.current.slice(-999), data as EntryView]
      if (paused.current) setWaiting(kept.current.length)
      else if (!due.current) {
        // A busy log is drawn a few times a second, not once for each entry.
        due.current = true
        setTimeout(() => (paused.current ? setWaiting(kept.current.length) : flush()), 120)
      }
    },
  })
  const toggle = (): void => {
    paused.current = !paused.current
    setPaused(paused.current)
    if (!paused.current) flush()
  }
  return { feed, isPaused, waiting, toggle, state, error }
}
