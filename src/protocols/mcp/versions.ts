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

export const supportedVersions: readonly string[] = [...modernVersions, ...legacyVersions]

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
