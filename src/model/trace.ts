/** W3C Trace Context (Recommendation, "traceparent Header"): by what the entries of one story are joined. */
import { freshBytes } from '../random.ts'

/** An action's place in a trace. Ids are lower-case hex, never all zeros. */
export interface Trace {
  /** 32 digits. */
  readonly traceId: string
  /** 16 digits: this action's own. */
  readonly spanId: string
  /** 16 digits: of the action that brought this one about. */
  readonly parentId?: string
}

export interface TraceParent {
  readonly traceId: string
  readonly spanId: string
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-|$)/

/** Undefined for what is no `traceparent`. Later versions are read as far as they agree with this one. */
export function readTraceparent(text: string | undefined): TraceParent | undefined {
  if (text === undefined || text.length > 256) return undefined
  const [, version, traceId = '', spanId = ''] = form.exec(text) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && text.length !== 55)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId }
}

/**
 * What is sent on, so that who gets it goes on with this action. It is sampled: a server whose spans are dropped could
 * not be joined.
 */
export function writeTraceparent({ traceId, spanId }: Trace): string {
  return `00-${traceId}-${spanId}-01`
}

/** A place of its own in the trace that was brought along, or in another one. */
export function newTrace(traceId?: string): Trace {
  return { traceId: traceId ?? randomHex(16), spanId: randomHex(8) }
}

/** As entries have it. */
export function traceFacts({ traceId, spanId, parentId }: Trace): Readonly<Record<string, string>> {
  return {
    trace_id: traceId,
    span_id: spanId,
    ...(parentId === undefined ? {} : { parent_id: parentId }),
  }
}

function randomHex(bytes: number): string {
  return freshBytes(bytes).toString('hex')
}
