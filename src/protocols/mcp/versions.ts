/**
 * The revisions of MCP that are spoken, in their two eras: `modern` carries version, identity and capabilities in
 * every request; `legacy` agrees on them in a handshake (specification 2026-07-28, basic/versioning).
 */

export type Era = 'modern' | 'legacy'

export const modernVersion = '2026-07-28'
export const modernVersions: readonly string[] = [modernVersion]

/** Newest first. 2024-11-05 is taken in a handshake only: its own transport is not spoken. */
export const legacyVersions: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']
export const latestLegacy = '2025-11-25'
/** From this revision on a client takes an event without a message (SEP-1699). */
export const primedSince = '2025-11-25'

export const supportedVersions: readonly string[] = [...modernVersions, ...legacyVersions]

/** The gateway has a part in it, and says itself who speaks it. */
const ownExtensions = new Set(['io.modelcontextprotocol/tasks'])

/** Capabilities without the extensions that are not passed on as they are. */
export function passedExtensions(capabilities: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { extensions, ...rest } = capabilities
  if (typeof extensions !== 'object' || extensions === null) return rest
  const kept = Object.entries(extensions).filter(([name]) => !ownExtensions.has(name))
  return kept.length === 0 ? rest : { ...rest, extensions: Object.fromEntries(kept) }
}

/** Keys of `_meta` that a modern request carries (basic/index, `_meta`). */
export const metaKeys = {
  version: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  capabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscription: 'io.modelcontextprotocol/subscriptionId',
} as const

/** What a legacy client that proposes `wanted` is answered. */
export function negotiated(wanted: unknown): string {
  return typeof wanted === 'string' && legacyVersions.includes(wanted) ? wanted : latestLegacy
}
