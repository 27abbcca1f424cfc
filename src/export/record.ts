import { createHash } from 'node:crypto'
import type { Entry } from '../audit/events.ts'

const leafPrefix = Buffer.of(0)

/** One entry as a sink sees it: the exact bytes of the log, and what can be derived from them, made when asked for. */
export class LogRecord {
  readonly origin: string
  /** Leaf index. */
  readonly index: number
  /** The canonical bytes that the log hashed. */
  readonly bytes: Buffer
  #entry: Entry | undefined

  constructor(origin: string, index: number, bytes: Buffer) {
    this.origin = origin
    this.index = index
    this.bytes = bytes
  }

  /** `<origin>/<index>`: what the far end deduplicates by. */
  get id(): string {
    return `${this.origin}/${this.index}`
  }

  /** Throws SyntaxError where the bytes are no JSON. */
  get entry(): Entry {
    return (this.#entry ??= JSON.parse(this.bytes.toString('utf8')) as Entry)
  }

  /** This entry as it stands in the log; another record where a sink is shown less of it (`fields.ts`). */
  get original(): LogRecord {
    return this
  }

  /** RFC 6962 section 2.1 leaf hash, hex. */
  get leafHash(): string {
    return createHash('sha256').update(leafPrefix).update(this.bytes).digest('hex')
  }
}
