/**
 * The long stream of what servers say unasked: `subscriptions/listen` of 2026 and the GET stream of 2025, each from
 * servers of either era. It carries what was asked for and may be read, tagged with the client's own request.
 */
import { plainAddress } from '../../policy/address.ts'
import { type Caller, contactOf, type Parts } from './caller.ts'
import type { Io } from './exchange.ts'
import type { Outcome } from './feed.ts'
import type { Link, LinkCall } from './link.ts'
import { foreseen, mayFollow } from './lists.ts'
import { resourceMeaning } from './meaning.ts'
import { type Fields, fieldsOf, type RpcNotification, textOf } from './rpc.ts'
import type { Contact, Server } from './server.ts'
import { taskIdsIn } from './tasks/extension.ts'
import { type Task } from './tasks/task.ts'
import type { Tasks } from './tasks/tasks.ts'
import { taskChanged, watchTask } from './tasks/watch.ts'
import { metaKeys } from './versions.ts'

/** What a stream is for. */
interface Filter {
  readonly toolsListChanged?: true
  readonly promptsListChanged?: true
  readonly resourcesListChanged?: true
  readonly resourceSubscriptions?: readonly string[]
}

const mostUris = 1000
const mostTasks = 100
const firstWaitMs = 1000
const longestWaitMs = 60_000
const changes = {
  toolsListChanged: 'tools',
  promptsListChanged: 'prompts',
  resourcesListChanged: 'resources',
} as const

/** Resolves when the client has left, or no server has more to say. */
export async function listen(
  parts: Parts,
  caller: Caller,
  by: { readonly io: Io; readonly tasks: Tasks },
): Promise<Outcome> {
  const { io } = by
  const { asked, client } = caller
  const contact = contactOf(parts, caller, io)
  const links = await parts.virtual.links(contact)
  const modern = asked.client.era === 'modern'
  const wanted = modern ? askedFor(asked.params) : everything(client?.subscribed)
  const filter = honoured(parts, caller, { wanted, links })
  const tasks = modern ? await ownTasks(parts, caller, by.tasks) : []
  const tag = { [metaKeys.subscription]: asked.id }
  if (modern) {
    await io.notify({
      kind: 'notification',
      method: 'notifications/subscriptions/acknowledged',
      params: {
        _meta: tag,
        notifications: tasks.length === 0 ? filter : { ...filter, taskIds: tasks.map(({ id }) => id) },
      },
    })
  }
  const onNotification = (each: RpcNotification): void | Promise<void> => {
    if (modern && !isWanted(each, filter)) return
    const { _meta, ...params } = each.params
    const { [metaKeys.subscription]: _, ...meta } = fieldsOf(_meta)
    const tagged = modern ? { ...meta, ...tag } : meta
    return contact.onNotification({
      ...each,
      params: Object.keys(tagged).length === 0 ? params : { ...params, _meta: tagged },
    })
  }
  const hearing: Contact = { ...contact, onNotification }
  const alone = parts.virtual.servers.length === 1
  const streams = parts.virtual.servers.map(server => {
    const link = links.find(each => each.server === server)?.link
    return attend(caller, { server, link, filter, contact: hearing, alone })
  })
  const watched = tasks.map(task =>
    watchTask({ parts, caller, tasks: by.tasks, io }, { task, links }, params =>
      io.notify({ kind: 'notification', method: taskChanged, params: { ...params, _meta: tag } }),
    ),
  )
  await Promise.race([Promise.all([...streams, ...watched]), aborted(io.signal)])
  if (!io.signal.aborted) await aborted(io.signal)
  return { result: { ...(modern ? { resultType: 'complete' } : {}), _meta: tag } }
}

/**
 * Follows one server for as long as the client listens. One of several that is lost, or was not to be had, is tried again
 * at growing intervals, and once it is back the client is told that the lists have changed.
 */
async function attend(
  caller: Caller,
  of: {
    readonly server: Server
    readonly link: Link | undefined
    readonly filter: Filter
    readonly contact: Contact
    readonly alone: boolean
  },
): Promise<void> {
  const { server, filter, contact, alone } = of
  if (alone && of.link !== undefined) return await follow(caller, { link: of.link, filter, contact })
  let { link } = of
  let waitMs = firstWaitMs
  while (!contact.signal.aborted) {
    if (link !== undefined) {
      const here = link
      const began = performance.now()
      const lost = await follow(caller, { link, filter, contact }).then(
        () => here.ended,
        () => true,
      )
      if (!lost) return
      if (performance.now() - began > longestWaitMs) waitMs = firstWaitMs
    }
    await pause(waitMs, contact.signal)
    waitMs = Math.min(waitMs * 2, longestWaitMs)
    link = await back(server, contact)
    if (link === undefined) continue
    for (const each of Object.values(changes)) {
      const method = `notifications/${each}/list_changed`
      await contact.onNotification({ kind: 'notification', method, params: {} })
    }
  }
}

/** The conversation with a server that answers again; a conversation of 2026 alone says nothing of that. */
async function back(server: Server, contact: Contact): Promise<Link | undefined> {
  // The first try may only find out that the server has forgotten its session.
  for (let tries = 0; tries < 2 && !contact.signal.aborted; tries++) {
    try {
      await server.list('tools', contact)
      return await server.link(contact)
    } catch {
      continue
    }
  }
  return undefined
}

/** Follows one server until its client leaves. A server that ends its stream, or has none, has no more to say. */
async function follow(
  { client, asked }: Caller,
  of: { readonly link: Link; readonly filter: Filter; readonly contact: Contact },
): Promise<void> {
  const { link, contact, filter } = of
  const quiet: LinkCall = {
    ...contact,
    headers: [],
    method: 'subscriptions/listen',
    params: { notifications: filter },
    onNotification: each =>
      each.method === 'notifications/subscriptions/acknowledged' ? undefined : contact.onNotification(each),
  }
  if (link.era === 'legacy') {
    if (asked.client.era === 'modern') await subscribe(link, quiet, filter)
    return await link.listen(quiet).catch(unlessAborted(contact.signal))
  }
  for (;;) {
    const again = new AbortController()
    if (client !== undefined) client.onSubscribed = () => again.abort()
    const signal = AbortSignal.any([contact.signal, again.signal])
    const uris = client === undefined ? filter.resourceSubscriptions : [...client.subscribed]
    const notifications: Filter = {
      ...filter,
      ...(uris === undefined || uris.length === 0 ? {} : { resourceSubscriptions: uris }),
    }
    await link.listen({ ...quiet, signal, params: { notifications } }).catch(unlessAborted(signal))
    if (contact.signal.aborted || !again.signal.aborted) return
  }
}

async function subscribe(link: Link, call: LinkCall, { resourceSubscriptions = [] }: Filter): Promise<void> {
  for (const uri of resourceSubscriptions)
    await link.call({ ...call, method: 'resources/subscribe', params: { uri } })
}

function askedFor(params: Fields): Filter {
  const given = fieldsOf(params['notifications'])
  const uris = given['resourceSubscriptions']
  const flags = Object.keys(changes).filter(name => given[name] === true)
  return {
    ...(Object.fromEntries(flags.map(name => [name, true])) as Filter),
    ...(Array.isArray(uris)
      ? { resourceSubscriptions: uris.filter(each => typeof each === 'string').slice(0, mostUris) }
      : {}),
  }
}

function everything(uris: ReadonlySet<string> | undefined): Filter {
  const flags = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true } as const
  return { ...flags, ...(uris === undefined || uris.size === 0 ? {} : { resourceSubscriptions: [...uris] }) }
}

/** Those that are this caller's, of a call that it may still make. */
async function ownTasks(parts: Parts, caller: Caller, tasks: Tasks): Promise<Task[]> {
  const found = await Promise.all(
    taskIdsIn(caller.asked.params)
      .slice(0, mostTasks)
      .map(id => tasks.find(caller, id)),
  )
  return found.filter(task => task !== undefined).filter(({ meaning }) => mayFollow(parts, caller, meaning))
}

/** What the servers can tell, and this client may read. */
function honoured(
  parts: Parts,
  caller: Caller,
  of: {
    readonly wanted: Filter
    readonly links: readonly { readonly server: Server; readonly link: Link }[]
  },
): Filter {
  const { wanted, links } = of
  const flags = Object.entries(changes).filter(
    ([name, capability]) =>
      wanted[name as keyof typeof changes] === true &&
      // Of several servers each may come and go.
      (parts.virtual.servers.length > 1 ||
        links.some(({ link }) => fieldsOf(link.facts.capabilities[capability])['listChanged'] === true)),
  )
  const subscribing = links.filter(
    ({ link }) => fieldsOf(link.facts.capabilities['resources'])['subscribe'] === true,
  )
  const uris = (wanted.resourceSubscriptions ?? []).filter(
    uri =>
      subscribing[0] !== undefined &&
      foreseen(
        parts,
        caller,
        resourceMeaning('resources/read', { uri, server: subscribing[0].server, known: true }),
      ).effect === 'permit',
  )
  return {
    ...(Object.fromEntries(flags.map(([name]) => [name, true])) as Filter),
    ...(uris.length === 0 ? {} : { resourceSubscriptions: uris }),
  }
}

function isWanted({ method, params }: RpcNotification, filter: Filter): boolean {
  for (const [name, capability] of Object.entries(changes)) {
    if (method === `notifications/${capability}/list_changed`)
      return filter[name as keyof typeof changes] === true
  }
  if (method !== 'notifications/resources/updated') return false
  const uri = plainAddress(textOf(params['uri']) ?? '')
  return (filter.resourceSubscriptions ?? []).some(each => {
    const wanted = plainAddress(each)
    return uri === wanted || uri.startsWith(`${wanted.replace(/\/$/, '')}/`)
  })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    if (signal.aborted) done()
    else signal.addEventListener('abort', done, { once: true })
  })
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

function unlessAborted(signal: AbortSignal): (error: unknown) => void {
  return error => {
    if (!signal.aborted) throw error
  }
}
