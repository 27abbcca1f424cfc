/** RFC 6962 section 2.1, written for verifying: leaves go in once, in order, and every root on the way can be had. */
import { hash } from 'node:crypto'

const pair = Buffer.alloc(65, 1)

export function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  pair.set(left, 1)
  pair.set(right, 33)
  return hash('sha256', pair, 'buffer')
}

export function hashLeaf(entry: Uint8Array): Buffer {
  return hash('sha256', Buffer.concat([Buffer.of(0), entry]), 'buffer')
}

/** The right edge of a growing tree: one complete subtree for each bit of its size. */
export class Frontier {
  size = 0
  readonly #levels: (Buffer | undefined)[] = []

  /** Adds a leaf; `complete` hears of each subtree that it completes, leaves included, by level. */
  push(leaf: Buffer, complete: (level: number, hash: Buffer) => void): void {
    let node = leaf
    let level = 0
    complete(0, node)
    for (let left = this.#levels[0]; left !== undefined; left = this.#levels[level]) {
      node = hashNode(left, node)
      this.#levels[level++] = undefined
      complete(level, node)
    }
    this.#levels[level] = node
    this.size++
  }

  get root(): Buffer {
    let root: Buffer | undefined
    for (const node of this.#levels) {
      if (node !== undefined) root = root === undefined ? node : hashNode(node, root)
    }
    return root ?? hash('sha256', '', 'buffer')
  }
}

/** The root that an audit path leads to (RFC 9162 section 2.1.3.2); undefined for a path of the wrong length. */
export function rootFromPath(
  leaf: Buffer,
  { index, size }: { readonly index: number; readonly size: number },
  path: readonly Buffer[],
): Buffer | undefined {
  if (index >= size) return undefined
  let at = index
  let last = size - 1
  let root = leaf
  for (const sibling of path) {
    if (last === 0) return undefined
    if (at % 2 === 1 || at === last) {
      root = hashNode(sibling, root)
      while (at % 2 === 0 && at !== 0) {
        at /= 2
        last = Math.floor(last / 2)
      }
    } else root = hashNode(root, sibling)
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 ? root : undefined
}
