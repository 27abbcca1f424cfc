/**
 * Walks a published log from its first entry to its head: hashes every entry, and compares every tile and the root
 * with what comes out.
 */
import type { Findings } from './findings.ts'
import { Frontier, hashPrefixedLeaf, type HashText } from './merkle.ts'
import type { Head } from './signed-note.ts'
import type { Source } from './source.ts'

const full = 256

export interface WalkOptions {
  readonly source: Source
  readonly head: Head
  readonly findings: Findings
  /** Sizes whose roots are asked for. */
  readonly sizes: ReadonlySet<number>
  /** Called with each entry in order; `bytes` is valid during the call. `root` gives that of all entries before. */
  readonly entry?: (index: number, bytes: Buffer, root: () => Buffer) => void
  /**
   * Called with each full bundle that is not there though its hashes are: by policy, or not. The root of all entries
   * before the bundle that follows is among the roots.
   */
  readonly missing: (bundle: number) => void
  /** Called now and then with the number of entries done. */
  readonly progress?: (done: number) => void
}

export interface WalkResult {
  /** Whether every leaf hash was there; if not, roots from the first gap on are absent. */
  readonly whole: boolean
  readonly roots: ReadonlyMap<number, Buffer>
  /** Paths that were used, each with the width of it that counts. */
  readonly used: ReadonlyMap<string, number>
}

export function pathOf(level: number | 'entries', index: number, width: number): string {
  const digits = `${index}`.padStart(Math.ceil(`${index}`.length / 3) * 3, '0')
  const parts = digits.match(/\d{3}/g)!
  const name = parts.map((part, i) => (i < parts.length - 1 ? `x${part}` : part)).join('/')
  return `tile/${level}/${name}${width < full ? `.p/${width}` : ''}`
}

/** Offsets of the entries of a bundle, each after its length; undefined unless it is exactly `width` whole entries. */
export function entryOffsets(bundle: Buffer, width: number, exact = true): number[] | undefined {
  const offsets: number[] = []
  let at = 0
  while (offsets.length < width && at + 2 <= bundle.length) {
    offsets.push(at)
    at += 2 + bundle.readUInt16BE(at)
  }
  if (offsets.length < width || at > bundle.length || (exact && at !== bundle.length)) return undefined
  offsets.push(at)
  return offsets
}

export async function walk(options: WalkOptions): Promise<WalkResult> {
  const { source, head, findings } = options
  const used = new Map<string, number>()
  const roots = new Map<number, Buffer>()
  const frontier = new Frontier()
  /** Hashes of the tile being filled, for each tile level. */
  const pending: HashText[][] = []
  /** Tiles above the leaves that are complete and wait to be compared. */
  const due: { level: number; index: number; hashes: HashText[] }[] = []
  /** The last bundle that is not there. */
  let missing = -2
  let whole = true

  const read = async (
    level: number | 'entries',
    index: number,
    width: number,
  ): Promise<Buffer | undefined> => {
    const path = pathOf(level, index, width)
    const exact = await source.read(path)
    if (exact !== undefined || width === full) {
      if (exact !== undefined) used.set(path, width)
      return exact
    }
    // A partial file may be gone once the full one is there; then only its beginning counts.
    const whole = pathOf(level, index, full)
    const grown = await source.read(whole)
    if (grown === undefined) return undefined
    used.set(whole, width)
    if (level !== 'entries') return grown.subarray(0, width * 32)
    const offsets = entryOffsets(grown, width, false)
    return offsets && grown.subarray(0, offsets[width])
  }
  const complete = (level: number, node: HashText): void => {
    const tile = level / 8
    const hashes = (pending[tile] ??= [])
    hashes.push(node)
    if (hashes.length < full) return
    due.push({ level: tile, index: Math.floor(frontier.size / full ** (tile + 1)), hashes })
    pending[tile] = []
  }
  const compare = async ({ level, index, hashes }: (typeof due)[number]): Promise<void> => {
    const bytes = await read(level, index, hashes.length)
    const path = pathOf(level, index, hashes.length)
    if (bytes === undefined) findings.add('missing', 'tile-missing', path)
    else if (bytes.toString('latin1') !== hashes.join('')) findings.add('tampering', 'tile-differs', path)
  }
  const pair = (index: number): Promise<[Buffer | undefined, Buffer | undefined]> => {
    const width = Math.min(full, head.size - index * full)
    return Promise.all([read('entries', index, width), read(0, index, width)])
  }

  const root = (): Buffer => frontier.root
  const bundles = Math.ceil(head.size / full)
  let next = bundles > 0 ? pair(0) : undefined
  for (let index = 0; index < bundles && whole; index++) {
    const width = Math.min(full, head.size - index * full)
    const [bundle, tile] = await next!
    next = index + 1 < bundles ? pair(index + 1) : undefined
    next?.catch(() => undefined)
    if (missing === index - 1) roots.set(index * full, frontier.root)
    if (bundle === undefined && tile !== undefined && width === full) options.missing((missing = index))
    const leaves = leavesOf({ index, width, bundle, tile }, options)
    whole = leaves !== undefined
    const { hashes = [], entryAt } = leaves ?? {}
    for (let i = 0; i < hashes.length; i++) {
      const seq = index * full + i
      if (options.sizes.has(seq)) roots.set(seq, frontier.root)
      if (entryAt !== undefined) options.entry?.(seq, entryAt(i), root)
      frontier.push(hashes[i]!, complete)
    }
    for (const each of due.splice(0)) await compare(each)
    if (index % 64 === 0) options.progress?.(frontier.size)
  }
  if (whole) {
    for (const [level, hashes] of pending.entries()) {
      if (hashes === undefined || hashes.length === 0) continue
      await compare({ level, index: Math.floor(Math.floor(head.size / full ** level) / full), hashes })
    }
    roots.set(head.size, frontier.root)
  }
  options.progress?.(frontier.size)
  return { whole, roots, used }
}

interface Leaves {
  readonly hashes: readonly HashText[]
  /** Absent where only the tile is there. */
  readonly entryAt?: (i: number) => Buffer
}

interface Read {
  readonly index: number
  readonly width: number
  readonly bundle: Buffer | undefined
  readonly tile: Buffer | undefined
}

/** The leaves of one bundle, compared with their tile; from the tile alone where the bundle is missing or broken. */
function leavesOf({ index, width, bundle, tile }: Read, { findings }: WalkOptions): Leaves | undefined {
  const bundlePath = pathOf('entries', index, width)
  const tilePath = pathOf(0, index, width)
  // A full bundle whose hashes are there may be gone by policy: who walks is told, and finds out.
  if (bundle === undefined && (tile === undefined || width < full))
    findings.add('missing', 'bundle-missing', bundlePath)
  if (tile === undefined) findings.add('missing', 'tile-missing', tilePath)
  if (tile !== undefined && tile.length !== width * 32) {
    findings.add('tampering', 'tile-malformed', tilePath)
    tile = undefined
  }
  const offsets = bundle && entryOffsets(bundle, width)
  if (bundle !== undefined && offsets === undefined) findings.add('tampering', 'bundle-malformed', bundlePath)
  if (bundle === undefined || offsets === undefined) {
    if (tile === undefined) return undefined
    const all = tile.toString('latin1')
    return { hashes: Array.from({ length: width }, (_, i) => all.slice(i * 32, i * 32 + 32)) }
  }
  // A broken bundle leaves entries that no one hashed: what they say counts for nothing, and is not asked for.
  const hashes: HashText[] = []
  for (let i = 0; i < width; i++) {
    // The byte before the entry (of its length, now known) becomes the 0x00 of a leaf, which spares a copy of each.
    const at = offsets[i]! + 1
    bundle[at] = 0
    hashes.push(hashPrefixedLeaf(bundle.subarray(at, offsets[i + 1])))
  }
  if (tile !== undefined && tile.toString('latin1') !== hashes.join('')) {
    const all = tile.toString('latin1')
    for (const [i, leaf] of hashes.entries()) {
      if (all.slice(i * 32, i * 32 + 32) !== leaf)
        findings.add('tampering', 'entry-differs', `entry ${index * full + i} is not what its tile says`)
    }
  }
  return { hashes, entryAt: i => bundle.subarray(offsets[i]! + 2, offsets[i + 1]) }
}
