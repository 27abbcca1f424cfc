/** What a request is taken for: operation, risk, resource. */
import { plainAddress } from '../../policy/address.ts'
import type { Risk } from '../../model/action.ts'
import type { Meaning } from './action.ts'
import type { Kind } from './catalogue.ts'
import type { Server } from './server.ts'
import type { Offered } from './virtual-server.ts'

const used: Readonly<Record<Kind, string>> = {
  tools: 'tools/call',
  prompts: 'prompts/get',
  resources: 'resources/read',
  templates: 'resources/read',
}

export function itemMeaning(kind: Kind, { server, item, name }: Offered): Meaning {
  const classified = kind === 'tools' ? server.risk(item) : undefined
  if (kind === 'resources' || kind === 'templates')
    return resourceMeaning(used[kind], { uri: name, server, known: true })
  return {
    operation: `${used[kind]}:${name}`,
    known: true,
    risk: classified?.risk ?? 'read',
    resource: `${server.name}/${item.key}`,
    server: server.name,
    address: addressOf(server),
    name,
    tags: classified?.tags ?? [],
    ...(kind === 'tools' ? { pin: item.pin } : {}),
  }
}

/** A name that nothing answers to is judged as one that is there would be, so that the answers are alike. */
export function unknownMeaning(kind: 'tools' | 'prompts', server: Server, name: string): Meaning {
  const key = name.startsWith(server.prefix) ? name.slice(server.prefix.length) : name
  const { risk, tags } =
    kind === 'tools' ? server.classifier.classify(key, undefined) : { risk: 'read' as Risk, tags: [] }
  const resource = `${server.name}/${key}`.slice(0, 512)
  return { operation: `${used[kind]}:${name}`, known: false, risk, resource, server: server.name, name, tags }
}

export function resourceMeaning(
  method: string,
  of: { uri: string; server: Server; known: boolean },
): Meaning {
  const { server, known } = of
  const uri = plainAddress(of.uri)
  return {
    operation: `${method}:${uri}`,
    known,
    risk: 'read',
    resource: uri.slice(0, 1024),
    server: server.name,
    address: addressOf(server),
    name: uri,
  }
}

/** A request that concerns all servers, or its client alone. */
export function ownMeaning(method: string, known = true, risk: Risk = 'read'): Meaning {
  return { operation: method, known, risk, resource: method }
}

export function addressOf({ settings }: Server): string {
  // A process is known by all that says what runs, so that an approval is for this program with these arguments.
  return settings.url ?? [settings.command, ...settings.args].map(each => JSON.stringify(each)).join(' ')
}
