/** What a server offers, as it last said: its tools, prompts, resources and templates. */
import { hash } from 'node:crypto'
import { canonicalJson } from '../../audit/canonical-json.ts'
import type { MirroredArgument } from './envelope.ts'
import { writeJson } from './codec.ts'
import { isVisibleName } from './visible-text.ts'
import { type Fields, fieldsOf, isFields, textOf } from './rpc.ts'

export type Kind = 'tools' | 'prompts' | 'resources' | 'templates'

export interface Listing {
  readonly method: string
  /** The member of the result that holds the items. */
  readonly member: string
  /** The capability of a server that has any. */
  readonly capability: string
  /** The member by which an item is called. */
  readonly key: string
}

export const listings: Readonly<Record<Kind, Listing>> = {
  tools: { method: 'tools/list', member: 'tools', capability: 'tools', key: 'name' },
  prompts: { method: 'prompts/list', member: 'prompts', capability: 'prompts', key: 'name' },
  resources: { method: 'resources/list', member: 'resources', capability: 'resources', key: 'uri' },
  templates: {
    method: 'resources/templates/list',
    member: 'resourceTemplates',
    capability: 'resources',
    key: 'uriTemplate',
  },
}

/** One thing a server offers. */
export interface Item {
  /** As the server calls it. */
  readonly key: string
  /** As the server described it. */
  readonly definition: Fields
  /** `sha256:` of the definition's canonical form: what is pinned. */
  readonly pin: string
  /** Arguments that go into headers; undefined where the definition's own annotations are not valid. */
  readonly mirrored: readonly MirroredArgument[] | undefined
}

/** Items by key. Where a server lists one twice, the first counts. */
export type Items = ReadonlyMap<string, Item>

export function itemsOf(kind: Kind, listed: readonly unknown[]): Items {
  const { key: member } = listings[kind]
  const items = new Map<string, Item>()
  for (const each of listed) {
    if (!isFields(each)) continue
    const key = textOf(each[member])
    if (key === undefined || key === '' || key.length > 4096 || items.has(key)) continue
    if (kind === 'tools' && !/^[\x21-\x7e]{1,128}$/.test(key)) continue
    if (!isVisibleName(key)) continue
    items.set(key, { key, definition: each, pin: pinOf(each), mirrored: mirroredOf(each) })
  }
  return items
}

export function pinOf(definition: Fields): string {
  return `sha256:${hash('sha256', canonicalText(definition))}`
}

/** RFC 8785 where it can be; an order-keeping form for what has none (integers over 2^53, lone surrogates). */
export function canonicalText(value: unknown): string {
  try {
    return canonicalJson(value)
  } catch {
    return `~${writeJson(sorted(value, 0))}`
  }
}

function sorted(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth > 300) return value
  if (Array.isArray(value)) return value.map(each => sorted(each, depth + 1))
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each, depth + 1)]))
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const primitives = new Set(['string', 'integer', 'boolean'])
const deepest = 64

/** `x-mcp-header` annotations (streamable-http, "Schema Extension"); undefined where one is not valid. */
export function mirroredOf(definition: Fields): readonly MirroredArgument[] | undefined {
  const schema = definition['inputSchema']
  if (!isFields(schema)) return []
  const found: MirroredArgument[] = []
  const reached = collect(schema, [], found)
  if (!reached || countAnnotations(schema, 0) !== found.length) return undefined
  const names = new Set(found.map(({ header }) => header))
  return names.size === found.length ? found : undefined
}

function collect(schema: Fields, path: readonly string[], found: MirroredArgument[]): boolean {
  if (path.length > deepest) return false
  for (const [name, each] of Object.entries(fieldsOf(schema['properties']))) {
    if (!isFields(each)) continue
    const at = [...path, name]
    if ('x-mcp-header' in each) {
      const header = each['x-mcp-header']
      const typed = typeof each['type'] === 'string' && primitives.has(each['type'])
      if (typeof header !== 'string' || !token.test(header) || !typed) return false
      const written = `Mcp-Param-${header}`
      found.push({ header: written.toLowerCase(), written, path: at })
    }
    if (!collect(each, at, found)) return false
  }
  return true
}

/** All annotations wherever they stand: one that `collect` did not reach is out of place. */
function countAnnotations(value: unknown, depth: number): number {
  if (typeof value !== 'object' || value === null || depth > deepest * 2) return 0
  const values = Array.isArray(value) ? value : Object.values(value)
  let count = !Array.isArray(value) && 'x-mcp-header' in value && !isFields(value['x-mcp-header']) ? 1 : 0
  for (const each of values) count += countAnnotations(each, depth + 1)
  return count
}
