/**
 * Masks what a server says, by its shape: text that is JSON by the rules for JSON, blobs by their own type, and the
 * structured form of a result together with its text, so that neither gives away what the other hides. Text blocks are
 * also looked at as one, since a model reads them as one.
 */
import type { Masker, MaskReport } from '../../masking/masker.ts'
import { mergeReports, nothingMasked } from '../../masking/both-maskers.ts'
import { once } from '../http/masks.ts'
import { readValue, writeJson } from './codec.ts'
import { type Fields, isFields } from './rpc.ts'
import { isTaskMember } from './tasks/extension.ts'

/** Members that carry the protocol and nobody's data. */
const protocolMembers = new Set([
  'resultType',
  'requestState',
  'nextCursor',
  'ttlMs',
  'cacheScope',
  'isError',
  'progressToken',
  'progress',
  'total',
  'taskId',
  'type',
  'mimeType',
  'role',
])
/** These are words and numbers; whatever else stands under such a name is somebody's data. */
function carriesProtocol(name: string, value: unknown): boolean {
  return protocolMembers.has(name) && (typeof value !== 'object' || value === null)
}

const contentMembers = new Set(['content', 'contents', 'messages'])

/** Masks what passes through it and counts. One for each action. */
export class ContentMask {
  readonly #masker: Masker
  #ofBlobs: MaskReport = nothingMasked

  constructor(masker: Masker) {
    this.#masker = masker
  }

  report(): MaskReport {
    const report = mergeReports(this.#masker.takeReport(), this.#ofBlobs)
    this.#ofBlobs = nothingMasked
    return report
  }

  text(text: string): string {
    return this.#masker.text(text)
  }

  json(value: unknown): unknown {
    return this.#masker.json(value)
  }

  /** A result, the params of a notification or of a server's request. Throws `mask-unable`. */
  async fields(fields: Fields): Promise<Fields> {
    if (this.#masker.idle) return fields
    const out = Object.create(null) as Record<string, unknown>
    const structured = fields['structuredContent']
    const masked = structured === undefined ? undefined : this.#masker.json(structured)
    const literal = masked === structured ? [] : changedTexts(structured, masked)
    const isTask = typeof fields['taskId'] === 'string'
    for (const [name, value] of Object.entries(fields)) {
      if (carriesProtocol(name, value) || (isTask && isTaskMember(name, value))) out[name] = value
      else if (isTask && name === 'result' && isFields(value)) out[name] = await this.fields(value)
      else if (name === 'structuredContent') out[name] = masked
      else if (contentMembers.has(name)) out[name] = await this.#contents(value, literal)
      else out[name] = this.#masker.json(value)
    }
    return out
  }

  async #contents(value: unknown, literal: readonly Replacement[]): Promise<unknown> {
    const list = Array.isArray(value) ? (value as unknown[]) : [value]
    const blocks: unknown[] = []
    for (const each of list) blocks.push(await this.#block(each, literal, 0))
    const joined = this.#joined(blocks)
    return Array.isArray(value) ? joined : joined[0]
  }

  async #block(value: unknown, literal: readonly Replacement[], depth: number): Promise<unknown> {
    if (!isFields(value) || depth > 16) return this.#masker.json(value)
    const out = Object.create(null) as Record<string, unknown>
    const mime = typeof value['mimeType'] === 'string' ? value['mimeType'] : undefined
    for (const [name, each] of Object.entries(value)) {
      if (carriesProtocol(name, each)) out[name] = each
      else if (name === 'text' && typeof each === 'string')
        out[name] = replaced(this.#textOrJson(each), literal)
      else if ((name === 'data' || name === 'blob') && typeof each === 'string')
        out[name] = await this.#blob(each, mime)
      else if (name === 'resource' || (name === 'content' && isFields(each)))
        out[name] = await this.#block(each, literal, depth + 1)
      else if (name === 'content') out[name] = await this.#contents(each, literal)
      else out[name] = this.#masker.json(each)
    }
    return out
  }

  /** Text that is an object or a list is masked as such: names of fields count there. */
  #textOrJson(text: string): string {
    const value = /^\s*[[{]/.test(text) ? readValue(text) : undefined
    if (typeof value !== 'object' || value === null) return this.#masker.text(text)
    const masked = this.#masker.json(value)
    if (masked === value) return text
    return writeJson(masked, /\n( +)"/.exec(text)?.[1]?.length)
  }

  async #blob(data: string, mime: string | undefined): Promise<string> {
    const bytes = Buffer.from(data, 'base64')
    const masked = this.#masker.body(once(bytes), { type: mime, encodings: [] })
    const chunks: Buffer[] = []
    for await (const chunk of masked.body) chunks.push(chunk)
    const report = masked.report()
    if (report.count === 0) return data
    this.#ofBlobs = mergeReports(this.#ofBlobs, report)
    return Buffer.concat(chunks).toString('base64')
  }

  /**
   * A secret that was cut into several blocks is whole for who reads them in a row. Where the blocks as one text hold
   * more to mask than each by itself, the first gets the masked whole and the others are emptied.
   */
  #joined(after: readonly unknown[]): unknown[] {
    const places = after.flatMap((block, i) => (textIn(block) === undefined ? [] : [i]))
    if (places.length < 2) return [...after]

    const each = places.map(i => textIn(after[i]) ?? '')
    for (const between of ['', '\n']) {
      const whole = each.join(between)
      const masked = this.#masker.text(whole)
      if (masked === whole) continue
      // What was masked one by one is in there already; the whole of what remains is masked once more.
      const first = places[0]!
      return after.map((block, i) =>
        i === first ? withText(block, masked) : places.includes(i) ? withText(block, '') : block,
      )
    }
    return [...after]
  }
}

function textIn(block: unknown): string | undefined {
  if (!isFields(block)) return undefined
  if (typeof block['text'] === 'string') return block['text']
  for (const name of ['resource', 'content']) {
    const inner = block[name]
    if (isFields(inner) && typeof inner['text'] === 'string') return inner['text']
  }
  return undefined
}

function withText(block: unknown, text: string): unknown {
  if (!isFields(block)) return block
  if (typeof block['text'] === 'string') return { ...block, text }
  for (const name of ['resource', 'content']) {
    const inner = block[name]
    if (isFields(inner) && typeof inner['text'] === 'string') return { ...block, [name]: { ...inner, text } }
  }
  return block
}

interface Replacement {
  readonly from: string
  readonly to: string
}

const shortest = 4
const mostReplacements = 1000

/** Texts of `before` that are another in `after`, which has the same shape. */
function changedTexts(before: unknown, after: unknown): Replacement[] {
  const found = new Map<string, string>()
  const walk = (a: unknown, b: unknown): void => {
    if (a === b || found.size >= mostReplacements) return
    if (typeof a === 'string' || typeof a === 'number' || typeof a === 'bigint') {
      const text = String(a)
      if (text.length >= shortest && typeof b === 'string') found.set(text, b)
    } else if (Array.isArray(a) && Array.isArray(b)) a.forEach((each, i) => walk(each, b[i]))
    else if (isFields(a) && isFields(b)) {
      const [as, bs] = [Object.values(a), Object.values(b)]
      as.forEach((each, i) => walk(each, bs[i]))
    }
  }
  walk(before, after)
  return [...found].map(([from, to]) => ({ from, to })).toSorted((a, b) => b.from.length - a.from.length)
}

function replaced(text: string, literal: readonly Replacement[]): string {
  let out = text
  for (const { from, to } of literal) if (out.includes(from)) out = out.replaceAll(from, () => to)
  return out
}
