/** What the addresses of pages hold after `?`: the whole of a view, so that it can be shared. */

type Raw = Readonly<Record<string, unknown>>

function text(raw: Raw, name: string): string | undefined {
  const value = raw[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Only names that are set; an absent filter is no filter. */
function picked<Name extends string>(
  raw: Raw,
  names: readonly Name[],
): { [Key in Name]?: string | undefined } {
  const found: { [Key in Name]?: string | undefined } = {}
  for (const name of names) found[name] = text(raw, name)
  return found
}

export const overviewSearch = (raw: Raw) => picked(raw, ['range', 'by', 'connection'])
export const liveSearch = (raw: Raw) => picked(raw, ['text', 'show'])
export const searchSearch = (raw: Raw) =>
  picked(raw, [
    'text',
    'identity',
    'connection',
    'operation',
    'outcome',
    'show',
    'kind',
    'since',
    'until',
    'session',
    'approval',
    'action',
  ])
export const sessionsSearch = (raw: Raw) => picked(raw, ['identity', 'connection', 'running'])
export const sessionSearch = (raw: Raw) => picked(raw, ['at'])

export type SearchParams = ReturnType<typeof searchSearch>
