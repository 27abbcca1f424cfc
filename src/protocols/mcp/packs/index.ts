/** Classifications of well-known servers' tools that come with the gateway. Each is data, in a file of its own. */
import { datadogPack } from './datadog.ts'
import type { Pack } from './pack.ts'

export type { Pack, PackedTool } from './pack.ts'

export const packs: readonly Pack[] = [datadogPack]

export const packNames: readonly string[] = packs.map(({ name }) => name)
