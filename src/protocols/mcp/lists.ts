/** What a client is shown: what the servers offer, less what this client may not use, under one roof. */
import { GatewayError } from '../../errors.ts'
import type { Decision } from '../../model/decision.ts'
import { version } from '../../version.ts'
import { McpAction, type Meaning } from './action.ts'
import { approvalToolNames, approvalTools } from './approval-tools.ts'
import { type Kind, listings } from './catalogue.ts'
import { type Caller, contactOf, type Parts } from './caller.ts'
import type { Io } from './exchange.ts'
import type { Outcome } from './feed.ts'
import { itemMeaning } from './meaning.ts'
import { codes, type Fields, fieldsOf, RpcError } from './rpc.ts'
import { tasksExtension } from './tasks/extension.ts'
import { metaKeys, modernVersions, legacyVersions, negotiated } from './versions.ts'
import { capabilitiesOf, type Offered, shown } from './virtual-server.ts'
import { visibleText } from './visible-text.ts'

/** Of one caller, and never of another (server/utilities/caching). */
const cached = { ttlMs: 0, cacheScope: 'private' }

/** Answers `tools/list` and its like. */
export async function listFor(
  parts: Parts,
  caller: Caller,
  of: { readonly kind: Kind; readonly io: Io },
): Promise<Outcome> {
  const { kind, io } = of
  // All is on the first page, so there is no cursor that could be ours.
  if (caller.asked.params['cursor'] !== undefined)
    throw new RpcError(codes.invalidParams, 'Invalid params: no such cursor')
  const offered = await parts.virtual.list(kind, contactOf(parts, caller, io))
  await parts.pins.see(kind, offered)
  // Nobody's tool stands for one of the gateway's own, which answers to its name.
  const own = kind === 'tools' && parts.gateway.deferrals !== undefined ? approvalToolNames : new Set()
  const visible = offered.filter(
    each => !own.has(each.name) && isVisible(parts, caller, { kind, offered: each }),
  )
  const items = visible.map(each => shown(kind, each))
  if (kind === 'tools') items.push(...approvalTools(parts, caller, visible))
  return { result: dressed(caller, { [listings[kind].member]: items }, true) }
}

/**
 * Whether this client may use it, by the same decision as at a call. Arguments are not known yet: a rule that asks for
 * them leaves it visible.
 */
export function isVisible(
  parts: Parts,
  caller: Caller,
  of: { readonly kind: Kind; readonly offered: Offered },
): boolean {
  const { kind, offered } = of
  if (kind === 'tools') {
    if (offered.item.mirrored === undefined || !parts.pins.accepts(offered)) return false
  }
  const decision = foreseen(parts, caller, itemMeaning(kind, offered))
  // Who may have it with another token is shown it, so as to ask for that token.
  if (decision.reason === 'insufficient-scope') return true
  return decision.effect !== 'deny' || (decision.conditionErrors ?? []).length > 0
}

/** The decision on a request of this meaning whose arguments nobody knows. */
export function foreseen(
  { gateway, connection }: Parts,
  { session, asked }: Caller,
  meaning: Meaning,
): Decision {
  const method = meaning.operation.slice(0, meaning.operation.indexOf(':'))
  const action = new McpAction({ id: 0, method, params: {}, client: asked.client, unread: true }, meaning)
  return gateway.policy.foresee(session.subject, connection, action)
}

/** Whether what follows a call is for who would make it now: arguments are not judged again. */
export function mayFollow(parts: Parts, caller: Caller, call: Meaning): boolean {
  const decision = foreseen(parts, caller, call)
  return decision.effect !== 'deny' || (decision.conditionErrors ?? []).length > 0
}

/** Answers `server/discover`. */
export async function discover(parts: Parts, caller: Caller, io: Io): Promise<Outcome> {
  const { capabilities, info, instructions } = await whole(parts, caller, io)
  return {
    result: {
      resultType: 'complete',
      supportedVersions: [...modernVersions, ...legacyVersions],
      capabilities,
      ...(instructions === undefined ? {} : { instructions }),
      ...cached,
      _meta: { [metaKeys.serverInfo]: info },
    },
  }
}

/** Answers `initialize`. */
export async function initialize(parts: Parts, caller: Caller, io: Io): Promise<Outcome> {
  const { capabilities, info, instructions } = await whole(parts, caller, io)
  const { extensions: _, ...legacy } = capabilities
  return {
    result: {
      protocolVersion: negotiated(caller.asked.params['protocolVersion']),
      capabilities: legacy,
      serverInfo: info,
      ...(instructions === undefined ? {} : { instructions }),
    },
  }
}

async function whole(parts: Parts, caller: Caller, io: Io) {
  const { settings, connection, virtual } = parts
  const links = await virtual.links(contactOf(parts, caller, io))
  const facts = links.map(({ link }) => link.facts)
  if (facts.length === 0) throw new GatewayError('upstream-unreachable')
  const own = { name: connection.name, version }
  const said = facts.flatMap(each => (each.instructions === undefined ? [] : [each.instructions]))
  const capabilities = capabilitiesOf(facts, virtual.servers.length)
  const tasks = parts.gateway.keeping === undefined ? {} : { [tasksExtension]: {} }
  const extensions = { ...fieldsOf(capabilities['extensions']), ...tasks }
  return {
    capabilities: { ...capabilities, ...(Object.keys(extensions).length === 0 ? {} : { extensions }) },
    info: facts.length === 1 ? (facts[0]!.info ?? own) : own,
    instructions: settings.instructions ?? (said.length === 0 ? undefined : visibleText(said.join('\n\n'))),
  }
}

/** A result as this client's era has it: `resultType` and caching hints are of 2026. */
export function dressed({ asked }: Pick<Caller, 'asked'>, result: Fields, cacheable: boolean): Fields {
  if (asked.client.era === 'modern') {
    const complete = result['resultType'] === undefined ? { resultType: 'complete' } : {}
    return {
      ...complete,
      ...result,
      ...(cacheable ? { ttlMs: result['ttlMs'] ?? 0, cacheScope: 'private' } : {}),
    }
  }
  const { resultType: _, ttlMs: __, cacheScope: ___, ...legacy } = result
  return legacy
}
