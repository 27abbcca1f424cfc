/** What a `subscriptions/listen` hears of tasks: each change whole, as `tasks/get` would tell it at that moment. */
import { type Caller, contactOf, type Parts } from '../caller.ts'
import { foreseen, mayFollow } from '../lists.ts'
import { ContentMask } from '../content-mask.ts'
import type { Io } from '../exchange.ts'
import type { Link } from '../link.ts'
import { type Fields, textOf } from '../rpc.ts'
import type { Server } from '../server.ts'
import { checkRequests } from '../work.ts'
import { detailOf, hasEnded, type Task } from './task.ts'
import type { Tasks } from './tasks.ts'

export const taskChanged = 'notifications/tasks'

export interface Watching {
  readonly parts: Parts
  readonly caller: Caller
  readonly tasks: Tasks
  readonly io: Io
}

type Tell = (task: Fields) => Promise<void>

/** Follows one task until it has ended or its client has left. A call that was approved begins: its client is here. */
export async function watchTask(
  watching: Watching,
  of: {
    readonly task: Task
    readonly links: readonly { readonly server: Server; readonly link: Link }[]
  },
  tell: Tell,
): Promise<void> {
  const { caller, tasks, io } = watching
  const { task, links } = of
  let told = ''
  while (!io.signal.aborted) {
    const found = await tasks.find(caller, task.id)
    if (found === undefined || !mayFollow(watching.parts, caller, found.meaning)) return
    const now = await tasks.advance(caller, found)
    if (now.standing.at === 'upstream') {
      const link = links.find(({ server }) => server.name === now.meaning.server)?.link
      if (link !== undefined) await passOn(watching, { task: now, id: now.standing.id, link }, tell)
      return
    }
    const detail = detailOf(now)
    const words = `${now.updatedAt} ${now.standing.at}`
    if (words !== told) await tell(await maskOf(watching, found).fields(detail))
    told = words
    if (hasEnded(now)) return
    await tasks.changed(caller, now, io.signal)
  }
}

/** What a server says of its own task, under the id that the client knows, masked as the call's answer would be. */
async function passOn(
  watching: Watching,
  of: { readonly task: Task; readonly id: string; readonly link: Link },
  tell: Tell,
): Promise<void> {
  const { task, id, link } = of
  const { parts, caller, io } = watching
  const contact = contactOf(parts, caller, io)
  await link
    .listen({
      ...contact,
      method: 'subscriptions/listen',
      params: { notifications: { taskIds: [id] } },
      headers: [],
      async onNotification({ method, params }) {
        if (method !== taskChanged || textOf(params['taskId']) !== id) return
        if (!mayFollow(parts, caller, task.meaning)) return
        checkRequests(parts, caller, params)
        await tell({ ...(await maskOf(watching, task).fields(params)), taskId: task.id })
      },
    })
    // A server without such streams, or one that breaks off: its client goes on asking.
    .catch(() => undefined)
}

/** As the call was masked, and as policy says now. */
function maskOf({ parts, caller }: Watching, { mask, meaning }: Task): ContentMask {
  const now = foreseen(parts, caller, meaning).obligations.mask
  return new ContentMask(parts.gateway.masker([...new Set([...mask, ...now])], parts.connection))
}
