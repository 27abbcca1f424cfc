import type { EntryView } from '../../api/views.ts'

/** Newest first. */
export type Feed = readonly EntryView[]

const most = 500

/** An action has one row: its end takes the place of its intent. */
export function addToFeed(feed: Feed, entry: EntryView): Feed {
  if (feed[0] !== undefined && Number(entry.seq) <= Number(feed[0].seq)) return feed
  const others =
    entry.action !== undefined && entry.kind.startsWith('action.')
      ? feed.filter(each => each.action !== entry.action || !each.kind.startsWith('action.'))
      : feed
  return [entry, ...others.slice(0, most - 1)]
}
