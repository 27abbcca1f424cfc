import { readTile, tileHeight, tileWidth } from './tiles.ts'
import { foldRight, hashBytes, nodeHash, type Subtree, subtreesOf } from './tree.ts'

/**
 * One reading of the published tree of `size` leaves: each tile is read from disk once and each node is computed once,
 * however many roots are asked for. What changes on disk after that is found by the next reading.
 */
export class TileReading {
  readonly #directory: string
  readonly #size: number
  readonly #tiles = new Map<string, Buffer>()
  readonly #nodes = new Map<string, Buffer>()

  constructor(directory: string, size: number) {
    this.#directory = directory
    this.#size = size
  }

  /** As `readTile`. */
  tile(level: number, index: number): Buffer {
    const key = `${level}/${index}`
    let tile = this.#tiles.get(key)
    if (tile === undefined) {
      tile = readTile(this.#directory, level, { index, size: this.#size })
      this.#tiles.set(key, tile)
    }
    return tile
  }

  /** The root that the tiles give for the first `size` leaves. */
  root(size: number): Buffer {
    return foldRight(subtreesOf(0, size).map(each => this.#hash(each)))
  }

  #hash({ level, index }: Subtree): Buffer {
    if (level % tileHeight === 0) return this.#stored(level / tileHeight, index)
    const key = `${level}/${index}`
    let hash = this.#nodes.get(key)
    if (hash === undefined) {
      const left = this.#hash({ level: level - 1, index: 2 * index })
      hash = nodeHash(left, this.#hash({ level: level - 1, index: 2 * index + 1 }))
      this.#nodes.set(key, hash)
    }
    return hash
  }

  #stored(tileLevel: number, index: number): Buffer {
    const at = (index % tileWidth) * hashBytes
    return this.tile(tileLevel, Math.floor(index / tileWidth)).subarray(at, at + hashBytes)
  }
}
