/** What entries say of the story that an action belongs to: its trace, what brought it about, what its client claims. */
import { type Cause, causeFacts } from '../identity/delegates.ts'
import { newTrace, readTraceparent, type Trace, traceFacts } from '../model/trace.ts'

export interface Origin {
  readonly cause?: Cause | undefined
  /** The client's `traceparent`, as it came. */
  readonly traceparent?: string | undefined
}

/** Its place in the trace of what brought it about; undefined where there is no one such trace. */
export function causedTrace(cause: Cause | undefined): Trace | undefined {
  if (cause?.traceId === undefined) return undefined
  const parentId = cause.errand?.trace.spanId
  return { ...newTrace(cause.traceId), ...(parentId === undefined ? {} : { parentId }) }
}

/** Facts of the entry. A trace that a client names is its word, so it is under `claimed` (P9). */
export function storyFacts(
  { cause, traceparent }: Origin,
  trace: Trace | undefined,
): Record<string, unknown> {
  const claimed = readTraceparent(traceparent)
  return {
    ...(trace === undefined ? {} : { trace: traceFacts(trace) }),
    ...(cause === undefined ? {} : { cause: causeFacts(cause) }),
    ...(claimed === undefined ? {} : { claimed: { trace: traceFacts(claimed) } }),
  }
}
