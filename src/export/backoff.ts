import { setTimeout as delay } from 'node:timers/promises'

/** Waiting and chance, given by tests. */
export interface Timing {
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** 0 to 1, exclusive. */
  random(): number
}

export const realTiming: Timing = {
  sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
  random: Math.random,
}

export interface RetryPolicy {
  readonly baseMs: number
  readonly capMs: number
  /** The longest wait that a far end can ask for. */
  readonly maxAskedMs: number
  /** Between attempts while a person has to act. */
  readonly holdMs: number
  /** After this long a batch is encoded anew: what depends on its age may have changed. */
  readonly staleMs: number
}

export const defaultRetry: RetryPolicy = {
  baseMs: 1000,
  capMs: 60_000,
  maxAskedMs: 300_000,
  holdMs: 60_000,
  staleMs: 600_000,
}

/**
 * Full jitter: anything from nothing to the exponential bound, so that many gateways do not return in step. A wait
 * that the far end asked for is kept, up to `maxAskedMs`, with jitter on top.
 */
export function retryDelay(
  attempt: number,
  policy: RetryPolicy,
  given: { random: number; afterMs?: number },
): number {
  const bound = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt, 30))
  const asked = Math.min(given.afterMs ?? 0, policy.maxAskedMs)
  return asked > 0 ? asked + given.random * policy.baseMs : given.random * bound
}
