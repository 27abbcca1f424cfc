import type { Entry } from '../audit/events.ts'
import type { RecordedExchange, Reenactor } from '../gateway/reenact.ts'
import { protocols } from '../main.ts'
import type { ApiClient } from './client.ts'
import { exit, Failure } from './failure.ts'
import { openLocally } from './local-replay.ts'
import type { ReplayedAction } from './replay-text.ts'

/** A session as it was recorded, opened: by the gateway, or here with an identity that it need not have. */
export interface RecordedSession {
  readonly id: string
  readonly connection: string
  readonly actions: readonly RecordedAction[]
}

export interface RecordedAction {
  readonly exchange: RecordedExchange
  /** Why there are no frames. */
  readonly unavailable?: string
}

interface Page {
  readonly session: { readonly connection: { readonly name: string; readonly protocol: string } }
  readonly actions: readonly ReplayedAction[]
  readonly next?: string
}

/** Most actions of one session that are taken together. */
const most = 5000

export async function readSession(
  api: ApiClient,
  id: string,
  identity: string | undefined,
): Promise<{ readonly session: RecordedSession; readonly reenactor: Reenactor }> {
  const actions: RecordedAction[] = []
  let after: string | undefined
  let page: Page
  do {
    page = await api.call<Page>(`/sessions/${encodeURIComponent(id)}/replay`, { query: { after, limit: 50 } })
    for (const each of page.actions) actions.push(await opened(api, each, identity))
    if (actions.length > most) throw new Failure(`the session has more than ${most} actions`)
    after = page.next
  } while (after !== undefined)
  const { name, protocol } = page.session.connection
  const reenactor = protocols.find(each => each.name === protocol)?.reenactor?.()
  if (reenactor === undefined)
    throw new Failure(
      `sessions of the protocol ${protocol} can be shown, not run again or undone`,
      exit.usage,
    )
  return { session: { id, connection: name, actions }, reenactor }
}

/** One recorded action by the index of the entry that ended it; undefined where it can't be had. */
export async function readAction(
  api: ApiClient,
  seq: string,
  identity: string | undefined,
): Promise<RecordedAction | undefined> {
  const entry = await api.call<Entry>(`/audit/entries/${seq}`)
  if (entry.session === undefined) return undefined
  const page = await api.call<Page>(`/sessions/${encodeURIComponent(entry.session)}/replay`, {
    query: { after: String(Number(seq) - 1), limit: 1 },
  })
  const [found] = page.actions
  return found?.entry.seq === seq ? await opened(api, found, identity) : undefined
}

async function opened(
  api: ApiClient,
  given: ReplayedAction,
  identity: string | undefined,
): Promise<RecordedAction> {
  const { entry, frames, unavailable } =
    identity === undefined ? given : await openLocally(api, given, identity)
  return {
    exchange: {
      entry,
      frames: (frames ?? []).map(({ from, part, text, base64 = '' }) => ({
        from,
        part,
        bytes: text === undefined ? Buffer.from(base64, 'base64') : Buffer.from(text),
      })),
    },
    ...(unavailable === undefined ? {} : { unavailable }),
  }
}

/** Index of the entry of the gateway's own read of what an action was about to change. */
export function beforeOf({ http }: Entry): string | undefined {
  const before = (http as { before?: unknown } | undefined)?.before
  return typeof before === 'string' ? before : undefined
}
