import type { Audit } from '../../audit/audit.ts'
import type { Clock } from '../../clock.ts'
import type { NoticeTopic } from '../../config/approvals.ts'
import { asGatewayError } from '../../errors.ts'
import { defaultRetry, realTiming, type RetryPolicy, type Timing } from '../../export/backoff.ts'
import { DeadLetters } from '../../export/dead-letters.ts'
import { Follower } from '../../export/follower.ts'
import type { LogRecord } from '../../export/record.ts'
import { type SinkStatus, statusOf } from '../../export/status.ts'
import type { LogStore, StateStore } from '../../storage/storage.ts'
import type { Approval } from '../approval.ts'
import type { Approvals } from '../approvals.ts'
import {
  approvalNotice,
  bareNotice,
  detectionNotice,
  type Notice,
  overrideNotice,
  topicOf,
} from './notice.ts'
import { type Notices, type Notifier, notifierSink } from './notifier.ts'

/** A decision that nobody was told of for this long is no news. */
const newsMs = 3_600_000

export interface NotificationsParts {
  readonly log: LogStore
  readonly audit: Pick<Audit, 'origin' | 'note' | 'onGrowth'>
  readonly state: StateStore
  readonly clock: Clock
  readonly approvals: Pick<Approvals, 'get'>
  readonly publicUrl: () => string
  readonly notifiers: readonly { readonly notifier: Notifier; readonly about: readonly NoticeTopic[] }[]
  readonly timing?: Timing
  readonly retry?: RetryPolicy
  readonly pollMs?: number
}

/** The notifiers, each following the log by itself from where it was. Nothing here is ever waited for by a request. */
export interface Notifications {
  start(): void
  /** Tells what is there for at most `graceMs`; the rest is told at the next start. */
  stop(graceMs: number): Promise<void>
  status(): readonly SinkStatus[]
}

export function createNotifications(parts: NotificationsParts): Notifications {
  const { log, audit, state, clock } = parts
  const { timing = realTiming, retry = defaultRetry, pollMs = 1000 } = parts
  const notices = noticesOf(parts)
  const followers = parts.notifiers.map(({ notifier, about }) => {
    const sink = notifierSink(notifier, notices)
    const wanted = ({ kind }: { readonly kind: string }): boolean => {
      const topic = topicOf(kind)
      return topic !== undefined && about.includes(topic)
    }
    return new Follower({
      log,
      audit,
      state,
      deadLetters: new DeadLetters(state),
      clock,
      timing,
      retry,
      pollMs,
      sink,
      wanted,
      maxWaitMs: 0,
      first: () => log.size,
      checkpoint: () => undefined,
    })
  })
  return {
    start() {
      for (const each of followers) each.start()
    },
    async stop(graceMs) {
      await Promise.all(followers.map(each => each.stop(graceMs)))
      await Promise.all(followers.map(each => each.sink.close()))
    },
    status: () => followers.map(each => statusOf(each, log.size, clock)),
  }
}

function noticesOf({ approvals, clock, publicUrl }: NotificationsParts): Notices {
  async function find(id: string): Promise<Approval | undefined> {
    try {
      return await approvals.get(id)
    } catch (error) {
      if (asGatewayError(error).code === 'not-found') return undefined
      throw error
    }
  }
  return {
    async of(record: LogRecord): Promise<Notice | undefined> {
      const of = { entry: record.entry, id: record.id }
      const { kind, time, approval: facts } = of.entry
      if (topicOf(kind) === 'detections') {
        return clock.now() - Date.parse(time) > newsMs ? undefined : detectionNotice(of, publicUrl())
      }
      if (!kind.startsWith('approval.')) return overrideNotice(of, publicUrl())
      const approval = await find(String(facts?.['id']))
      if (approval === undefined) return undefined
      // A notifier that was down does not ask for what is decided.
      if (kind === 'approval.requested' && approval.state !== 'pending') return undefined
      if (kind !== 'approval.requested' && clock.now() - Date.parse(time) > newsMs) return undefined
      return approvalNotice(of, approval, publicUrl())
    },
    bare: record => bareNotice({ entry: record.entry, id: record.id }, publicUrl()),
  }
}
