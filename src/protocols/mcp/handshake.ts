/** How a conversation begins in each era, whatever bears it, and what every request carries in it. */
import { GatewayError } from '../../errors.ts'
import { writeTraceparent } from '../../model/trace.ts'
import type { ClientProfile } from './envelope.ts'
import type { LinkCall, ServerFacts } from './link.ts'
import { codes, type Fields, fieldsOf, isFields, type RpcResponse, textOf } from './rpc.ts'
import {
  type Era,
  latestLegacy,
  legacyVersions,
  metaKeys,
  modernVersion,
  passedExtensions,
} from './versions.ts'

/** What the answer to `server/discover` says; undefined where the server is not of 2026, or says no more. */
export function discovered({ result, error }: RpcResponse): ServerFacts | 'unsaid' | undefined {
  if (isFields(result) && Array.isArray(result['supportedVersions'])) {
    if (!(result['supportedVersions'] as unknown[]).includes(modernVersion)) return undefined
    const info = fieldsOf(result['_meta'])[metaKeys.serverInfo] ?? result['serverInfo']
    return {
      capabilities: fieldsOf(result['capabilities']),
      info: isFields(info) ? info : undefined,
      instructions: textOf(result['instructions']),
      version: modernVersion,
    }
  }
  const refused = error?.code === codes.headerMismatch || error?.code === codes.missingCapability
  return refused ? 'unsaid' : undefined
}

export function handshakeParams({
  capabilities,
  info,
}: Pick<ClientProfile, 'capabilities' | 'info'>): Fields {
  return {
    protocolVersion: latestLegacy,
    capabilities: passedExtensions(capabilities),
    clientInfo: info ?? { name: 'sallyport', version: '0' },
  }
}

/** What the answer to `initialize` says. Throws `upstream-invalid`. */
export function greeted({ result, error }: RpcResponse): ServerFacts {
  if (result === undefined) throw invalid(`the handshake was refused (${error?.code ?? 'no result'})`)
  const version = textOf(result['protocolVersion'])
  if (version === undefined || !legacyVersions.includes(version))
    throw invalid('a version that is not spoken')
  return {
    capabilities: fieldsOf(result['capabilities']),
    info: isFields(result['serverInfo']) ? result['serverInfo'] : undefined,
    instructions: textOf(result['instructions']),
    version,
  }
}

const reserved: ReadonlySet<string> = new Set(Object.values(metaKeys))

/** Params with the `_meta` of the server's era: the client's own, less what is said per hop. */
export function paramsFor({ params: given, client, errand }: LinkCall, era: Era, id: number): Fields {
  const before = fieldsOf(given['_meta'])
  const meta: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(before)) if (!reserved.has(key)) meta[key] = value
  if ('progressToken' in meta) meta['progressToken'] = id
  // SEP-414. The gateway is a hop of the trace, so the server goes on with the gateway's own span.
  meta['traceparent'] = writeTraceparent(errand.trace)
  if (era === 'modern') {
    meta[metaKeys.version] = modernVersion
    meta[metaKeys.capabilities] = client.capabilities
    if (client.info !== undefined) meta[metaKeys.clientInfo] = client.info
    const level = before[metaKeys.logLevel]
    if (level !== undefined) meta[metaKeys.logLevel] = level
  }
  return { ...given, _meta: meta }
}

export function invalid(detail: string): GatewayError {
  return new GatewayError('upstream-invalid', { detail })
}
