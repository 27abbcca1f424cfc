/** A DataRow on its way to the client: its values stay where they are until one is replaced, and are read as text once. */
import { dataRow, valueRanges } from './messages.ts'

/** Holds one row after another, so that a large result makes no objects for each. */
export class Row {
  #bytes: Buffer = Buffer.alloc(0)
  readonly #ranges: number[] = []
  readonly #texts: (string | undefined)[] = []
  /** By index, where something was replaced. */
  #replaced: Map<number, Buffer | null> | undefined

  /** Takes up this row and forgets the last. Throws FrameError where its lengths do not add up. */
  read(bytes: Buffer): void {
    this.#bytes = bytes
    valueRanges(bytes, this.#ranges)
    this.#texts.length = 0
    this.#replaced = undefined
  }

  get count(): number {
    return this.#ranges.length / 2
  }

  value(index: number): Buffer | null {
    const other = this.#replaced?.get(index)
    if (other !== undefined) return other
    const start = this.#ranges[index * 2]!
    return start < 0 ? null : this.#bytes.subarray(start, this.#ranges[index * 2 + 1])
  }

  /** The value as UTF-8; bytes that are none become U+FFFD. */
  text(index: number): string | null {
    const known = this.#texts[index]
    if (known !== undefined) return known
    const other = this.#replaced?.get(index)
    if (other === null) return null
    const start = this.#ranges[index * 2]!
    if (other === undefined && start < 0) return null
    const text = other?.toString('utf8') ?? this.#bytes.toString('utf8', start, this.#ranges[index * 2 + 1])
    this.#texts[index] = text
    return text
  }

  replace(index: number, value: Buffer | null): void {
    this.#replaced ??= new Map()
    this.#replaced.set(index, value)
    this.#texts[index] = undefined
  }

  /** The message as it is by then: the one that came, where nothing was replaced. */
  message(): Buffer {
    if (this.#replaced === undefined) return this.#bytes
    return dataRow(Array.from({ length: this.count }, (_, index) => this.value(index)))
  }
}
