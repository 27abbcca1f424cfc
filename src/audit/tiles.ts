/**
 * C2SP tlog-tiles on disk: `tile/<level>/<n>[.p/<width>]` with up to 256 hashes, `tile/entries/<n>[.p/<width>]` with up
 * to 256 entries, each behind its length in two bytes, big-endian. A file is written whole under another name, synced,
 * and renamed, so a reader never sees half of one.
 */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type HashOf, hashBytes, nodeHash, type Subtree } from './tree.ts'

/** Hashes or entries in a full tile. */
export const tileWidth = 256

/** Levels of the tree in one tile. */
export const tileHeight = 8

/** The path of a tile or bundle below the log's directory; `width` below 256 names a partial one. */
export function tilePath(level: number | 'entries', index: number, width = tileWidth): string {
  let name = `${index % 1000}`.padStart(3, '0')
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    name = `x${`${rest % 1000}`.padStart(3, '0')}/${name}`
  }
  return `tile/${level}/${name}${width < tileWidth ? `.p/${width}` : ''}`
}

/** How many hashes the tile `index` of `level` holds in a tree of `size` leaves. */
export function widthAt(level: number, index: number, size: number): number {
  const nodes = Math.floor(size / tileWidth ** level)
  return Math.max(0, Math.min(tileWidth, nodes - index * tileWidth))
}

/** Entries as a bundle carries them, in memory of its own that may be handed to another thread. */
export function packEntries(entries: readonly Uint8Array[]): Buffer {
  let length = 0
  for (const entry of entries) length += 2 + entry.length
  const packed = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const entry of entries) {
    at = packed.writeUInt16BE(entry.length, at)
    packed.set(entry, at)
    at += entry.length
  }
  return packed
}

/** The entries of a bundle, without copying. Throws RangeError for what is not a sequence of whole entries. */
export function unpackEntries(packed: Buffer): Buffer[] {
  const entries: Buffer[] = []
  for (let at = 0; at < packed.length; ) {
    const end = at + 2 + packed.readUInt16BE(at)
    if (end > packed.length) throw new RangeError('an entry bundle ends inside an entry')
    entries.push(packed.subarray(at + 2, end))
    at = end
  }
  return entries
}

/** The file, or undefined where there is none. */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Writes a whole file so that after a crash it is there as given or as before; the directory entry is durable once
 * `syncDirectories` was called for it.
 */
export function replaceFile(path: string, bytes: Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.tmp`
  const file = openSync(temporary, 'w', mode)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
    fdatasyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
}

/** Makes renames in these directories, and those directories in `top`, durable. */
export function syncDirectories(paths: Iterable<string>, top: string): void {
  const all = new Set<string>()
  for (const path of paths) {
    for (let each = path; each.length >= top.length && !all.has(each); each = dirname(each)) all.add(each)
  }
  for (const path of all) {
    const directory = openSync(path, 'r')
    try {
      fsyncSync(directory)
    } finally {
      closeSync(directory)
    }
  }
}

/** The hashes of a tile in a tree of `size` leaves, from the partial file of that size or the full one. */
export function readTile(directory: string, level: number, at: { index: number; size: number }): Buffer {
  const width = widthAt(level, at.index, at.size)
  const wanted = width * hashBytes
  const exact = readIfThere(join(directory, tilePath(level, at.index, width)))
  const bytes = exact ?? readIfThere(join(directory, tilePath(level, at.index)))
  if (bytes === undefined) throw new Error(`missing: ${tilePath(level, at.index, width)}`)
  if (bytes.length < wanted || (exact !== undefined && bytes.length !== wanted)) {
    throw new Error(`wrong length: ${tilePath(level, at.index, width)}`)
  }
  return bytes.subarray(0, wanted)
}

/** The exact bytes of entry `index` of a log of `size` entries, from its bundle. */
export async function readEntry(directory: string, index: number, size: number): Promise<Buffer> {
  const bundle = Math.floor(index / tileWidth)
  const width = widthAt(0, bundle, size)
  const partial = join(directory, tilePath('entries', bundle, width))
  const packed = await readFile(partial).catch(() => readFile(join(directory, tilePath('entries', bundle))))
  const entry = unpackEntries(packed)[index % tileWidth]
  if (entry === undefined) throw new Error(`entry ${index} is not in its bundle`)
  return entry
}

/** Hashes of complete subtrees of the published tree of `size` leaves. */
export function hashesOf(directory: string, size: number): HashOf {
  return async subtree => subtreeHash(directory, size, subtree)
}

/** The hash of one complete subtree of the published tree of `size` leaves, from its tile. */
export function subtreeHash(directory: string, size: number, { level, index }: Subtree): Buffer {
  const tileLevel = Math.floor(level / tileHeight)
  const span = 2 ** (level % tileHeight)
  const tile = Math.floor((index * span) / tileWidth)
  const first = (index * span) % tileWidth
  const hashes = readTile(directory, tileLevel, { index: tile, size })
  return perfectRoot(hashes.subarray(first * hashBytes, (first + span) * hashBytes))
}

/** The root over a power of two of hashes that stand one after the other. */
export function perfectRoot(hashes: Buffer): Buffer {
  if (hashes.length === hashBytes) return hashes
  const half = hashes.length / 2
  return nodeHash(perfectRoot(hashes.subarray(0, half)), perfectRoot(hashes.subarray(half)))
}
