/**
 * The published log on disk: takes in entries in order, writes tiles and bundles, and signs a head over nothing but
 * what it has read back from disk and found to be a growth of the last head it signed. All of it is synchronous: it
 * runs in a thread of its own (checkpoint-worker.ts), away from the request path.
 */
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { headText, parseHead, type TreeHead } from './note.ts'
import {
  hashesOf,
  packEntries,
  perfectRoot,
  readIfThere,
  readTile,
  replaceFile,
  syncDirectories,
  tilePath,
  tileWidth,
  unpackEntries,
  widthAt,
} from './tiles.ts'
import { TileReading } from './tile-reading.ts'
import { consistencyProof, foldRight, hashBytes, leafHash, subtreesOf } from './tree.ts'

/** Evidence that what was committed, integrated or signed before is not what is there now. Nothing more is signed. */
export class DamageError extends Error {
  override readonly name = 'DamageError'
}

export interface PublishedHead extends TreeHead {
  /** The signed checkpoint, as published. */
  readonly note: string
}

export interface PublishedTreeOptions {
  readonly directory: string
  readonly origin: string
  /**
   * Where the last signed head is kept beside the key, written before it is published: a log that was rolled back, or
   * whose checkpoint is gone, is not signed anew.
   */
  readonly headFile: string
  /** The text of a checkpoint that one of the log's keys signed; undefined where none did. */
  readonly openCheckpoint: (note: string) => string | undefined
}

/** What witnesses said of a head. */
export interface Cosignatures {
  /** The checkpoint as the log signed it, without lines of witnesses. */
  readonly note: string
  /** Their signature lines, each with its newline. */
  readonly lines: string
  readonly quorum: boolean
}

/** One level of tiles: the hashes of its last tile, which is not full. */
interface Edge {
  readonly hashes: Buffer
  count: number
}

export class PublishedTree {
  readonly #options: PublishedTreeOptions
  #size = 0
  #edges: Edge[] = []
  /** Of `#edges`, once somebody asked for it. */
  #root: Buffer | undefined
  /** Entries of the last bundle, which is not full. */
  #bundle: Buffer[] = []
  #signed: PublishedHead | undefined
  /** Its checkpoint without lines of witnesses; undefined while it is one of an earlier run. */
  #bare: string | undefined
  /** The lines of witnesses on the published checkpoint, and the head that they are of. */
  #cosigned = { text: '', lines: '' }
  /** Level-0 tiles written since the last head. */
  #fresh = new Set<number>()
  readonly #directories = new Set<string>()

  /** Throws DamageError when what is on disk is not what its own checkpoint says. */
  constructor(options: PublishedTreeOptions) {
    this.#options = options
    const published = ['checkpoint', 'checkpoint.witnessed'].map(name => join(options.directory, name))
    const heads = [options.headFile, ...published]
      .map(path => readIfThere(path)?.toString())
      .filter(note => note !== undefined)
      .map(note => this.#open(note))
    const last = heads.toSorted((a, b) => b.size - a.size)[0]
    if (heads.some(({ size, root }) => size === last?.size && !root.equals(last.root))) {
      throw new DamageError('the checkpoint on disk is not the one that was signed')
    }
    if (last !== undefined) this.#load(last)
  }

  /** Entries taken in. */
  get size(): number {
    return this.#size
  }

  /** The last head that was signed. */
  get signed(): PublishedHead | undefined {
    return this.#signed
  }

  get root(): Buffer {
    return (this.#root ??= rootOfEdges(this.#edges))
  }

  /** Takes in entries, packed as in a bundle, that follow `size`. Full tiles are written at once. */
  integrate(packed: Buffer): void {
    for (const entry of unpackEntries(packed)) {
      this.#bundle.push(entry)
      this.#size++
      this.#root = undefined
      this.#add(0, leafHash(entry))
    }
  }

  /** Writes what is partial, reads everything new back, checks the growth: gives the text that may be signed. */
  prepare(): string {
    const { directory, origin } = this.#options
    const root = this.root
    if (this.#signed?.size !== this.#size) {
      this.#writePartial()
      syncDirectories(this.#directories, directory)
      this.#readBack(root)
    }
    return headText({ origin, size: this.#size, root })
  }

  /** Publishes the head that `prepare` gave, signed. Throws where the signature is not one of the log's keys. */
  publish(note: string): PublishedHead {
    const { origin, headFile, openCheckpoint } = this.#options
    const head = { origin, size: this.#size, root: this.root }
    const text = headText(head)
    if (openCheckpoint(note) !== text) throw new Error('the signer gave a signature that does not hold')
    replaceFile(headFile, Buffer.from(note), 0o600)
    syncDirectories([dirname(headFile)], dirname(headFile))
    // The same head again keeps what witnesses said of it.
    if (this.#cosigned.text !== text) this.#cosigned = { text, lines: '' }
    this.#replace('checkpoint', note + this.#cosigned.lines)
    this.#dropPartials()
    this.#fresh.clear()
    this.#directories.clear()
    this.#bare = note
    this.#signed = { ...head, note: note + this.#cosigned.lines }
    return this.#signed
  }

  /**
   * Adds the lines of witnesses to the published checkpoint, if it still is the one that they cosigned; `quorum` says
   * that they are enough, and then that checkpoint is kept as `checkpoint.witnessed` too, whatever is signed after it.
   */
  cosign({ note, lines, quorum }: Cosignatures): void {
    const text = this.#options.openCheckpoint(note)
    if (text === undefined) throw new Error('cosignatures of a head that this log did not sign')
    if (quorum) this.#replace('checkpoint.witnessed', note + lines)
    const signed = this.#signed
    if (signed === undefined || headText(signed) !== text) return
    const own = this.#bare ?? note
    this.#cosigned = { text, lines }
    this.#replace('checkpoint', own + lines)
    this.#signed = { ...signed, note: own + lines }
  }

  /** Hashes that prove that the tree of `old` entries is the beginning of that of `size`, which was signed. */
  prove(old: number, size: number): Promise<Buffer[]> {
    if (size > (this.#signed?.size ?? 0)) throw new RangeError(`no head of ${size} entries was signed`)
    return old === 0
      ? Promise.resolve([])
      : consistencyProof(old, size, hashesOf(this.#options.directory, size))
  }

  /** Compares entries that were taken in before, as the store has them now, with their leaf hashes on disk. */
  compare(start: number, packed: Buffer): void {
    let tile: Buffer = Buffer.alloc(0)
    for (const [i, entry] of unpackEntries(packed).entries()) {
      const index = start + i
      if (index >= (this.#signed?.size ?? 0)) return
      if (i === 0 || index % tileWidth === 0)
        tile = readTile(this.#options.directory, 0, {
          index: Math.floor(index / tileWidth),
          size: this.#signed!.size,
        })
      const at = (index % tileWidth) * hashBytes
      if (!leafHash(entry).equals(tile.subarray(at, at + hashBytes))) {
        throw new DamageError(`entry ${index} is not what was integrated`)
      }
    }
  }

  #replace(name: string, text: string): void {
    const { directory } = this.#options
    replaceFile(join(directory, name), Buffer.from(text))
    syncDirectories([directory], directory)
  }

  #open(note: string): PublishedHead {
    const text = this.#options.openCheckpoint(note)
    if (text === undefined) throw new DamageError('the checkpoint on disk is not signed by this log')
    const head = parseHead(text)
    if (head?.origin !== this.#options.origin) throw new DamageError('the checkpoint is of another log')
    return { ...head, note }
  }

  #load(head: PublishedHead): void {
    try {
      this.#edges = edgesAt(this.#options.directory, head.size)
      this.#bundle = this.#lastBundle(head.size)
    } catch (error) {
      throw new DamageError('the published log is not whole', { cause: error })
    }
    if (!rootOfEdges(this.#edges).equals(head.root))
      throw new DamageError('the tiles do not give the signed root')
    this.#size = head.size
    this.#signed = head
    this.#checkBundle(Math.floor(head.size / tileWidth), new TileReading(this.#options.directory, head.size))
  }

  #lastBundle(size: number): Buffer[] {
    const index = Math.floor(size / tileWidth)
    return size % tileWidth === 0 ? [] : this.#readBundle(index, size % tileWidth)
  }

  #readBundle(index: number, width: number): Buffer[] {
    const path = tilePath('entries', index, width)
    const packed = readIfThere(join(this.#options.directory, path))
    const entries = packed && unpackEntries(packed)
    if (entries?.length !== width) throw new DamageError(`missing or not whole: ${path}`)
    return entries
  }

  #add(level: number, hash: Buffer): void {
    const edge = (this.#edges[level] ??= { hashes: Buffer.alloc(tileWidth * hashBytes), count: 0 })
    edge.hashes.set(hash, edge.count++ * hashBytes)
    if (edge.count < tileWidth) return
    const index = Math.floor(this.#size / tileWidth ** (level + 1)) - 1
    this.#write(tilePath(level, index), edge.hashes)
    if (level === 0) {
      this.#write(tilePath('entries', index), packEntries(this.#bundle))
      this.#bundle = []
      this.#fresh.add(index)
    }
    const root = perfectRoot(edge.hashes)
    edge.count = 0
    this.#add(level + 1, root)
  }

  #writePartial(): void {
    for (const [level, { hashes, count }] of this.#edges.entries()) {
      if (count === 0) continue
      const index = Math.floor(Math.floor(this.#size / tileWidth ** level) / tileWidth)
      this.#write(tilePath(level, index, count), hashes.subarray(0, count * hashBytes))
    }
    if (this.#bundle.length === 0) return
    const index = Math.floor(this.#size / tileWidth)
    this.#write(tilePath('entries', index, this.#bundle.length), packEntries(this.#bundle))
    this.#fresh.add(index)
  }

  #write(path: string, bytes: Buffer): void {
    const whole = join(this.#options.directory, path)
    replaceFile(whole, bytes)
    this.#directories.add(dirname(whole))
  }

  /**
   * Yeti 2022 lost a public log to one flipped bit between memory and disk: so the root that is signed is the one that
   * the files give, and their growth from the last signed head is computed from the same files.
   */
  #readBack(root: Buffer): void {
    const reading = new TileReading(this.#options.directory, this.#size)
    for (const index of this.#fresh) this.#checkBundle(index, reading)
    for (const index of this.#fresh) this.#checkParent(index, reading)
    if (!reading.root(this.#size).equals(root)) {
      throw new DamageError('the tiles on disk do not give the root that was computed')
    }
    const before = this.#signed
    if (before === undefined) return
    if (before.size > this.#size) throw new DamageError('the log is shorter than its last signed head')
    if (!reading.root(before.size).equals(before.root))
      throw new DamageError('the log is no growth of its last signed head')
  }

  #checkBundle(index: number, reading: TileReading): void {
    const width = widthAt(0, index, this.#size)
    if (width === 0) return
    const tile = reading.tile(0, index)
    for (const [i, entry] of this.#readBundle(index, width).entries()) {
      if (!leafHash(entry).equals(tile.subarray(i * hashBytes, (i + 1) * hashBytes))) {
        throw new DamageError(`entry ${index * tileWidth + i} in its bundle is not what was integrated`)
      }
    }
  }

  /** Follows a fresh full tile upwards: each full tile's root stands in the tile above it. */
  #checkParent(leafTile: number, reading: TileReading): void {
    for (let level = 0, index = leafTile; widthAt(level, index, this.#size) === tileWidth; level++) {
      const tile = reading.tile(level, index)
      const above = Math.floor(index / tileWidth)
      const parent = reading.tile(level + 1, above)
      const at = (index % tileWidth) * hashBytes
      if (!perfectRoot(tile).equals(parent.subarray(at, at + hashBytes))) {
        throw new DamageError(`${tilePath(level, index)} is not what the tile above it says`)
      }
      index = above
    }
  }

  /** The spec lets partial tiles go once the full one is there; kept, they would be 255 files for each. */
  #dropPartials(): void {
    for (const index of this.#fresh) {
      if (widthAt(0, index, this.#size) < tileWidth) continue
      for (let level = 0, at = index; ; level++, at = Math.floor(at / tileWidth)) {
        if (widthAt(level, at, this.#size) < tileWidth) break
        rmSync(join(this.#options.directory, `${tilePath(level, at)}.p`), { recursive: true, force: true })
      }
      rmSync(join(this.#options.directory, `${tilePath('entries', index)}.p`), {
        recursive: true,
        force: true,
      })
    }
  }
}

function edgesAt(directory: string, size: number): Edge[] {
  const edges: Edge[] = []
  for (let level = 0; Math.floor(size / tileWidth ** level) > 0; level++) {
    const index = Math.floor(Math.floor(size / tileWidth ** level) / tileWidth)
    const count = widthAt(level, index, size)
    const hashes = Buffer.alloc(tileWidth * hashBytes)
    if (count > 0) hashes.set(readTile(directory, level, { index, size }))
    edges.push({ hashes, count })
  }
  return edges
}

/** The root over the last, partial tiles of all levels: they are the right edge of the tree. */
function rootOfEdges(edges: readonly Edge[]): Buffer {
  const parts: Buffer[] = []
  for (const { hashes, count } of edges.toReversed()) {
    for (const { level, index } of subtreesOf(0, count)) {
      const first = index * 2 ** level
      parts.push(perfectRoot(hashes.subarray(first * hashBytes, (first + 2 ** level) * hashBytes)))
    }
  }
  return foldRight(parts)
}
