/** The server's answer to one statement, from its first message to the one that ends it, streamed to the client. */
import { GatewayError } from '../../errors.ts'
import type { Masker } from '../../masking/masker.ts'
import type { Recorder } from '../../recording/recorder.ts'
import { binaryText } from './binary-text.ts'
import type { Message } from './codec.ts'
import { copyIn } from './copy.ts'
import { CopyMask } from './copy-mask.ts'
import { type Host, maskedReport } from './host.ts'
import { columnsIn, headOf } from './descriptions.ts'
import { type Column, readReport } from './messages.ts'
import type { RowMask, StatementMask } from './masks.ts'
import { Row } from './row.ts'
import type { RowLimiter } from './row-limit.ts'
import type { Unit } from './unit.ts'

/** How the statement ended. `last` is held back until its entry is durable. */
export interface Ended {
  readonly last: Buffer
  readonly type: string
  readonly success: boolean
  readonly rows: number
  readonly tag?: string
  readonly sqlState?: string
  /** The result had more rows than these, which policy let pass. */
  readonly cutAt?: number
}

export interface AnswerParts {
  readonly host: Host
  readonly unit: Unit
  readonly masker: Masker
  readonly recorder: Recorder
  /** How many rows are recorded; Infinity: all. */
  readonly recordRows: number
  readonly mask: StatementMask
  /** Of the result, where it was described earlier. */
  readonly columns: readonly Column[] | undefined
  readonly limiter: RowLimiter | undefined
  /** The server may be asked to stop once enough was dropped. */
  readonly mayStop: boolean
}

/** What the server says a statement did, by its CommandComplete, EmptyQueryResponse or PortalSuspended. */
export function toldBy({ type, bytes }: Message): {
  readonly tag: string
  readonly rows: number | undefined
} {
  const tag = type === 'C' ? bytes.toString('utf8', 5, bytes.length - 1) : type === 'I' ? '' : 'suspended'
  return { tag, rows: rowsIn(tag) }
}

function rowsIn(tag: string): number | undefined {
  const counted = /(\d+)$/.exec(tag)?.[1]
  return counted === undefined ? undefined : Number(counted)
}

const recordBatch = 32 * 1024

export class Answer {
  readonly #parts: AnswerParts
  #columns: readonly Column[] | undefined
  #mask: RowMask | undefined
  #prepared = false
  #columnsRecorded = false
  #copyMask: CopyMask | undefined
  /** What is to be recorded of rows, and of lines of COPY: bytes of the messages that they came in. */
  #lines: string[] = []
  #copies: Buffer[] = []
  #linesSize = 0
  #stopping: Promise<void> | undefined
  /** The first line of COPY holds names. */
  #header = false
  readonly #current = new Row()
  rows = 0

  constructor(parts: AnswerParts) {
    this.#parts = parts
    this.#columns = parts.columns
  }

  /** Streams until the end of the statement. Throws GatewayError for what can't be passed on. */
  async run(): Promise<Ended> {
    try {
      return await this.#stream()
    } catch (error) {
      // The client has these rows.
      void this.#flushLines()
      throw error
    }
  }

  async #stream(): Promise<Ended> {
    const { host, masker } = this.#parts
    for (;;) {
      const next = host.answer(masker)
      const each = next instanceof Promise ? await next : next
      switch (each.type) {
        case 'T':
          this.#described(each)
          await this.#prepare()
          host.client.send(each.bytes)
          break
        case 'D': {
          if (!this.#prepared) await this.#prepare()
          if (!this.#admitted()) break
          const behind = this.#row(each)
          if (behind !== undefined) await behind
          break
        }
        case 'G':
          await copyIn(host, each, {
            masker,
            // It comes in chunks and not in rows: all of it, or none.
            recorder: this.#parts.recordRows === Infinity ? this.#parts.recorder : undefined,
          })
          break
        case 'H':
          this.#beginCopy(each)
          this.#copyMask = await CopyMask.open(this.#parts.mask, this.#parts.unit, each)
          host.client.send(each.bytes)
          break
        case 'd': {
          const behind = this.#copied(each)
          if (behind !== undefined) await behind
          break
        }
        case 'c':
          host.client.send(each.bytes)
          break
        case 'C':
        case 'I':
        case 's':
          return await this.#ended(each)
        case 'E':
          if (this.#stopping !== undefined && readReport(each.bytes).get('C') === '57014')
            return await this.#ended(each)
          return await this.#failed(each)
        default:
          throw new GatewayError('upstream-invalid', { detail: `a message of type ${each.type} out of turn` })
      }
    }
  }

  /** False: beyond the limit, and dropped. */
  #admitted(): boolean {
    const { limiter, mayStop, host } = this.#parts
    if (limiter === undefined || limiter.admit()) return true
    if (mayStop && limiter.worthStopping) this.#stopping = host.cancelUpstream().catch(() => undefined)
    return false
  }

  #beginCopy(each: Message): void {
    const { limiter, unit } = this.#parts
    const { role } = unit.judgement
    this.#header = role.kind === 'copy' && role.header
    if (limiter !== undefined && each.bytes[5] === 1)
      throw new GatewayError('denied', {
        detail: `policy limits the rows, and COPY in binary form can not be cut`,
      })
  }

  #described(each: Message): void {
    this.#columns = columnsIn(each.bytes)
    this.#prepared = false
    this.#recordColumns()
  }

  /** Before the rows, and also where there are none; a client may have had the description earlier. */
  #recordColumns(): void {
    if (this.#columnsRecorded || this.#columns === undefined || this.#columns.length === 0) return
    this.#columnsRecorded = true
    void this.#parts.recorder.write({ from: 'upstream', part: 'head', bytes: headOf(this.#columns) })
  }

  async #prepare(): Promise<void> {
    this.#prepared = true
    this.#recordColumns()
    this.#mask = await this.#parts.mask.rows(this.#columns)
  }

  #row(each: Message): void | Promise<void> {
    const { host, recordRows } = this.#parts
    this.rows++
    const recorded = this.rows <= recordRows
    const masked = this.#mask?.touches(each.bytes) === true
    if (!recorded && !masked) return host.client.send(each.bytes)
    const row = this.#current
    row.read(each.bytes)
    if (masked) this.#mask!.apply(row)
    host.client.send(row.message())
    if (recorded) return this.#record(row)
  }

  #record(row: Row): void | Promise<void> {
    const shown: (string | null)[] = []
    for (let index = 0; index < row.count; index++) shown.push(this.#shown(row, index))
    const line = JSON.stringify(shown)
    this.#lines.push(line)
    return this.#recorded(line.length)
  }

  #shown(row: Row, index: number): string | null {
    const { format = 0, type = 0 } = this.#columns?.[index] ?? {}
    if (format === 0) return row.text(index)
    const value = row.value(index)
    return value === null ? null : (binaryText(type, value) ?? `\\x${value.toString('hex')}`)
  }

  #recorded(size: number): void | Promise<void> {
    this.#linesSize += size
    if (this.#linesSize >= recordBatch) return this.#flushLines()
  }

  #flushLines(): void | Promise<void> {
    if (this.#linesSize === 0) return
    const bytes =
      this.#copies.length > 0 ? Buffer.concat(this.#copies) : Buffer.from(`${this.#lines.join('\n')}\n`)
    this.#lines = []
    this.#copies = []
    this.#linesSize = 0
    return this.#parts.recorder.write({ from: 'upstream', part: 'body', bytes })
  }

  #copied(each: Message): void | Promise<void> {
    const { host, recordRows } = this.#parts
    if (this.#header) this.#header = false
    else if (!this.#admitted()) return
    const bytes = this.#copyMask?.apply(each.bytes) ?? each.bytes
    this.rows++
    host.client.send(bytes)
    if (this.rows > recordRows) return
    this.#copies.push(bytes.subarray(5))
    return this.#recorded(bytes.length - 5)
  }

  async #ended(each: Message): Promise<Ended> {
    const { type, bytes } = each
    this.#recordColumns()
    await this.#flushLines()
    // A cancel request that came late would end what comes next.
    await this.#stopping
    const { limiter, host } = this.#parts
    const { tag: told } = toldBy(each)
    const cut = limiter !== undefined && limiter.dropped > 0
    const end = cut ? limiter.end(type, told, this.rows) : { bytes, tag: told }
    if (cut) host.client.send(limiter.notice())
    this.#recordEnd(cut ? `${end.tag}, cut at ${limiter.rows} rows` : end.tag)
    const rows = cut || type === 's' ? this.rows : (rowsIn(end.tag) ?? this.rows)
    return {
      last: end.bytes,
      type,
      success: true,
      rows,
      tag: end.tag,
      ...(cut ? { cutAt: limiter.rows } : {}),
    }
  }

  async #failed(each: Message): Promise<Ended> {
    await this.#flushLines()
    const { masker, host } = this.#parts
    const last = maskedReport(each, masker, host.conceals)
    const sqlState = readReport(each.bytes).get('C') ?? ''
    this.#recordEnd(`ERROR ${sqlState}: ${readReport(last).get('M') ?? ''}`)
    return { last, type: 'E', success: false, rows: this.rows, sqlState }
  }

  #recordEnd(status: string): void {
    const { recordRows, recorder } = this.#parts
    const headers =
      this.rows > recordRows ? ['rows', `${this.rows}, of which ${recordRows} are recorded`] : []
    void recorder.write({
      from: 'upstream',
      part: 'head',
      bytes: Buffer.from(JSON.stringify({ status, headers })),
    })
  }
}
