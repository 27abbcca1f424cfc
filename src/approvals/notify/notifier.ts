import { asGatewayError } from '../../errors.ts'
import type { LogRecord } from '../../export/record.ts'
import type { SendResult, Sink } from '../../export/sink.ts'
import type { Notice } from './notice.ts'

/**
 * One way of telling people. It renders and sends, once, and says how that went; order, retries and the kept position
 * belong to the follower. Never throws.
 */
export interface Notifier {
  readonly name: string
  readonly type: string
  tell(notice: Notice, signal: AbortSignal): Promise<SendResult>
  close(): Promise<void>
}

/** Makes notices of entries. */
export interface Notices {
  /** Undefined where there is nothing to tell any more: decided in the meantime, or too long ago. */
  of(record: LogRecord): Promise<Notice | undefined>
  /** In place of a notice that was rejected. Never throws. */
  bare(record: LogRecord): Notice
}

const anything = Buffer.from('notice')
const stub = Buffer.from('stub')

/**
 * A notifier as a sink, so that it follows the log like any other: one that is down delays nothing, loses nothing and
 * repeats at most the message that a crash cut short.
 */
export function notifierSink(notifier: Notifier, notices: Notices): Sink {
  /** Told by this process: a batch that failed midway comes again whole. */
  let told = -1

  async function tell(record: LogRecord, bare: boolean, signal: AbortSignal): Promise<SendResult> {
    if (record.index <= told) return { result: 'accepted' }
    const notice = bare ? notices.bare(record) : await notices.of(record)
    const sent = notice === undefined ? accepted : await notifier.tell(notice, signal)
    if (sent.result === 'accepted' && !bare) told = record.index
    return sent
  }

  return {
    name: `approvals:${notifier.name}`,
    type: notifier.type,
    limits: { maxEvents: 1000, maxBytes: 1_000_000, maxEventBytes: 65_536 },
    encode(record) {
      void record.entry
      return anything
    },
    stub: () => stub,
    async send(batch, signal) {
      for (const { record, body } of batch) {
        try {
          const sent = await tell(record, body.equals(stub), signal)
          if (sent.result !== 'accepted') return sent
        } catch (error) {
          return { result: 'retry', detail: `here: ${asGatewayError(error).detail ?? 'a fault'}` }
        }
      }
      return accepted
    },
    close: () => notifier.close(),
  }
}

const accepted: SendResult = { result: 'accepted' }
