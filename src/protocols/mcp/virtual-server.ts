/** The servers behind a connection as one: whose a name is, and what the whole offers. */
import { plainAddress } from '../../policy/address.ts'
import { GatewayError } from '../../errors.ts'
import { compileGlob } from '../../policy/glob.ts'
import { type Item, type Kind, listings } from './catalogue.ts'
import type { Link, ServerFacts } from './link.ts'
import { type Fields, fieldsOf, isFields } from './rpc.ts'
import type { Contact, Server } from './server.ts'
import { passedExtensions } from './versions.ts'
import { visible } from './visible-text.ts'

/** A thing that a server offers, under the name by which clients call it. */
export interface Offered {
  readonly server: Server
  readonly item: Item
  readonly name: string
}

/** Which lists count. */
interface Listed {
  readonly key: string
  readonly maxAgeMs: number
  /** A server that could not be listed is passed over. */
  readonly partial?: boolean
}

export class VirtualServer {
  readonly servers: readonly Server[]
  readonly #patienceMs: number

  /** `patienceMs`: how long one of several is waited for before the others are shown without it. */
  constructor(servers: readonly Server[], patienceMs: number) {
    this.servers = servers
    this.#patienceMs = patienceMs
  }

  /** The conversations with all servers; those that can't be had are left out, unless none can. */
  async links(contact: Contact): Promise<readonly { readonly server: Server; readonly link: Link }[]> {
    const opened = await Promise.allSettled(
      this.servers.map(async server => ({ server, link: await this.#soon(server.link(contact)) })),
    )
    return reached(opened)
  }

  /** Reads the lists of all servers. In the order of the configuration, then in the servers' own. */
  async list(kind: Kind, contact: Contact): Promise<readonly Offered[]> {
    const lists = await Promise.allSettled(
      this.servers.map(async server => ({ server, items: await this.#soon(server.list(kind, contact)) })),
    )
    const seen = new Set<string>()
    return reached(lists).flatMap(({ server, items }) =>
      [...items.values()].flatMap(item => {
        const name = nameOf(kind, server, item.key)
        if (seen.has(name) || (kind === 'tools' && name.length > 128)) return []
        seen.add(name)
        return [{ server, item, name }]
      }),
    )
  }

  /** A server whose answers take too long holds up nobody's view of the others; it goes on, for the next time. */
  async #soon<T>(answer: Promise<T>): Promise<T> {
    if (this.servers.length === 1) return await answer
    const { promise, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new GatewayError('upstream-timeout')), this.#patienceMs)
    try {
      return await Promise.race([answer, promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /** What answers to this name. `unread`: a list must be read first; with `partial` there is no other to be had. */
  find(kind: 'tools' | 'prompts', name: string, at: Listed): Offered | 'unread' | undefined {
    for (const server of this.servers) {
      if (!name.startsWith(server.prefix)) continue
      const items = server.listed(at.key, kind, at.maxAgeMs)
      if (items === undefined && at.partial === true) continue
      if (items === undefined) return 'unread'
      const item = items.get(name.slice(server.prefix.length))
      if (item !== undefined) return { server, item, name }
    }
    return undefined
  }

  /** Whose a resource is: who lists it, then who has a template that it fits, then the only one there is. */
  findResource(uri: string, at: Listed): { server: Server; known: boolean } | 'unread' | undefined {
    const lists = this.servers.map(server => ({
      server,
      resources: server.listed(at.key, 'resources', at.maxAgeMs),
      templates: server.listed(at.key, 'templates', at.maxAgeMs),
    }))
    const whole = at.partial !== true
    if (whole && lists.some(({ resources, templates }) => resources === undefined || templates === undefined))
      return 'unread'
    const plain = plainAddress(uri)
    const listing =
      lists.find(({ resources }) => resources?.has(uri) === true) ??
      lists.find(({ resources }) => [...(resources?.keys() ?? [])].some(each => plainAddress(each) === plain))
    if (listing !== undefined) return { server: listing.server, known: true }
    const fitting = lists.find(({ templates }) =>
      [...(templates?.keys() ?? [])].some(each => fits(plain, plainAddress(each))),
    )
    if (fitting !== undefined) return { server: fitting.server, known: true }
    return this.servers.length === 1 ? { server: this.servers[0]!, known: false } : undefined
  }

  /** Whose the name is if nothing answers to it because its server can't be listed. */
  failing(name: string): Server | undefined {
    return this.servers
      .filter(({ prefix, trouble }) => trouble !== undefined && name.startsWith(prefix))
      .toSorted((a, b) => b.prefix.length - a.prefix.length)[0]
  }

  troubleOf(name: string): string {
    return this.servers.find(each => each.name === name)?.trouble ?? 'unknown'
  }

  /** Candidates for a name that nothing answers to. */
  guess(name: string): Server {
    return this.servers.find(({ prefix }) => name.startsWith(prefix)) ?? this.servers[0]!
  }
}

export function nameOf(kind: Kind, server: Server, key: string): string {
  return kind === 'tools' || kind === 'prompts' ? server.prefix + key : key
}

/** The definition as clients see it. */
export function shown(kind: Kind, { item, name }: Offered): Fields {
  const { key } = listings[kind]
  const definition = visible(item.definition)
  return definition[key] === name ? definition : { ...definition, [key]: name }
}

/** A uri against a template (RFC 6570), in which each expression stands for any text. */
function fits(uri: string, template: string): boolean {
  return template.includes('{') && compileGlob(template.replaceAll(/\{[^{}]*\}/g, '*')).matches(uri)
}

function reached<T>(settled: readonly PromiseSettledResult<T>[]): readonly T[] {
  const values = settled.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []))
  const failed = settled.find(each => each.status === 'rejected')
  if (values.length === 0 && failed !== undefined) {
    throw failed.reason instanceof Error ? failed.reason : new GatewayError('upstream-unreachable')
  }
  return values
}

const federated = ['tools', 'prompts', 'resources', 'completions', 'logging'] as const

/** Their lists change when one of several servers comes or goes. */
const changing: ReadonlySet<string> = new Set(['tools', 'prompts', 'resources'])

/**
 * What the whole can do. One server's word is passed on; of several, what is routed to each by name is there where one
 * has it, and everything else only where all have it.
 */
export function capabilitiesOf(all: readonly ServerFacts[], servers = all.length): Fields {
  if (servers === 1) {
    const { tasks: _, ...rest } = all[0]!.capabilities
    return passedExtensions(rest)
  }
  const out: Record<string, unknown> = {}
  for (const name of federated) {
    const having = all.flatMap(({ capabilities }) =>
      isFields(capabilities[name]) ? [capabilities[name]] : [],
    )
    if (having.length > 0)
      out[name] = Object.assign({}, ...having, changing.has(name) ? { listChanged: true } : {}) as Fields
  }
  const [first, ...others] = all.map(({ capabilities }) => fieldsOf(capabilities['extensions']))
  const shared = Object.entries(first ?? {}).filter(([name]) => others.every(each => name in each))
  if (shared.length > 0) out['extensions'] = Object.fromEntries(shared)
  return passedExtensions(out)
}
