/**
 * The Merkle tree of RFC 6962 section 2.1: SHA-256, 0x00 before a leaf, 0x01 before a node. Proofs ask for hashes of
 * complete subtrees by level and index, so that they can be answered from tiles without holding the tree.
 */
import { sha256 } from '../sha256.ts'

export const hashBytes = 32

const nodeInput = Buffer.alloc(1 + 2 * hashBytes, 1)

export function leafHash(entry: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(entry.length + 1)
  input[0] = 0
  input.set(entry, 1)
  return sha256(input)
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeInput.set(left, 1)
  nodeInput.set(right, 1 + hashBytes)
  return sha256(nodeInput)
}

/** The root of the tree without leaves. */
export const emptyRoot = sha256('')

/** A complete subtree: the `index`-th of those with 2^level leaves. */
export interface Subtree {
  readonly level: number
  readonly index: number
}

/** Gives the hash of a complete subtree. */
export type HashOf = (subtree: Subtree) => Promise<Buffer>

/** Leaves `from` (inclusive) to `to` (exclusive) as complete subtrees, left to right, the fewest there are. */
export function subtreesOf(from: number, to: number): Subtree[] {
  const found: Subtree[] = []
  for (let at = from; at < to; ) {
    let level = 0
    let width = 1
    while (at % (width * 2) === 0 && at + width * 2 <= to) {
      width *= 2
      level++
    }
    found.push({ level, index: at / width })
    at += width
  }
  return found
}

/** The root over subtrees given left to right, each smaller than the one before or equal to it when it is last. */
export function foldRight(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return emptyRoot
  let root = hashes.at(-1)!
  for (let i = hashes.length - 2; i >= 0; i--) root = nodeHash(hashes[i]!, root)
  return root
}

/** The root of the first `size` leaves. */
export async function rootOf(size: number, hashOf: HashOf): Promise<Buffer> {
  return await rangeHash({ from: 0, to: size }, hashOf)
}

interface Range {
  readonly from: number
  readonly to: number
}

/** The hash that the tree has for this range: MTH(D[from:to]) of the RFC. */
async function rangeHash({ from, to }: Range, hashOf: HashOf): Promise<Buffer> {
  return foldRight(await Promise.all(subtreesOf(from, to).map(hashOf)))
}

/** The audit path of leaf `index` in the tree of `size` leaves, from the leaf's sibling upwards (RFC 6962 2.1.1). */
export async function inclusionProof(index: number, size: number, hashOf: HashOf): Promise<Buffer[]> {
  if (index < 0 || index >= size) throw new RangeError(`no leaf ${index} in a tree of ${size}`)
  const ranges: Range[] = []
  for (let from = 0, to = size; to - from > 1; ) {
    const middle = from + splitOf(to - from)
    if (index < middle) {
      ranges.push({ from: middle, to })
      to = middle
    } else {
      ranges.push({ from, to: middle })
      from = middle
    }
  }
  return await Promise.all(ranges.toReversed().map(range => rangeHash(range, hashOf)))
}

/** The proof that the tree of `size` leaves begins with that of `old` leaves (RFC 6962 2.1.2). Empty for equal sizes. */
export async function consistencyProof(old: number, size: number, hashOf: HashOf): Promise<Buffer[]> {
  if (old < 1 || old > size) throw new RangeError(`no proof from ${old} to ${size}`)
  const ranges: Range[] = []
  let from = 0
  let to = size
  while (old !== to) {
    const middle = from + splitOf(to - from)
    if (old <= middle) {
      ranges.push({ from: middle, to })
      to = middle
    } else {
      ranges.push({ from, to: middle })
      from = middle
    }
  }
  // The old tree itself need not be told: only where it is not a left edge of the new one is its last part needed.
  if (from > 0) ranges.push({ from, to })
  return await Promise.all(ranges.toReversed().map(range => rangeHash(range, hashOf)))
}

/** The largest power of two below `width`. */
function splitOf(width: number): number {
  let split = 1
  while (split * 2 < width) split *= 2
  return split
}
