/**
 * The registry of faults that can leave the process. A denial is not here: it is a value with a reason.
 * `docs/reference/errors.md` is generated from this file.
 */

interface ErrorKind {
  /** HTTP status; other protocols map the code in their `refusal.ts`. */
  readonly status: number
  readonly title: string
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean
}

export const errorKinds = {
  unauthenticated: { status: 401, title: 'No valid credential', retryable: false },
  denied: { status: 403, title: 'Denied by policy', retryable: false },
  'approval-pending': { status: 403, title: 'Waiting for approval', retryable: true },
  'consent-needed': {
    status: 403,
    title: 'A person must first let the gateway use this upstream in their name',
    retryable: true,
  },
  'not-found': { status: 404, title: 'No such thing here', retryable: false },
  'connection-unknown': { status: 404, title: 'No such connection', retryable: false },
  'method-not-allowed': { status: 405, title: 'Method not allowed', retryable: false },
  conflict: { status: 409, title: 'The state does not allow it', retryable: false },
  'invalid-request': { status: 400, title: 'The request is not valid', retryable: false },
  'request-timeout': { status: 408, title: 'The request took too long to arrive', retryable: true },
  'body-too-large': { status: 413, title: 'The body is too large', retryable: false },
  'too-many-rows': { status: 413, title: 'More rows than policy lets pass', retryable: false },
  'uri-too-long': { status: 414, title: 'The address is too long', retryable: false },
  'unsupported-encoding': { status: 415, title: 'An encoding that cannot be inspected', retryable: false },
  'expectation-failed': { status: 417, title: 'Expectation not supported', retryable: false },
  misdirected: { status: 421, title: 'Not an address of this gateway', retryable: false },
  'too-many-requests': { status: 429, title: 'Too many requests', retryable: true },
  'headers-too-large': { status: 431, title: 'The headers are too large', retryable: false },
  internal: { status: 500, title: 'The gateway failed', retryable: false },
  'upstream-unreachable': { status: 502, title: 'The upstream could not be reached', retryable: true },
  'upstream-invalid': { status: 502, title: 'The upstream gave an unusable answer', retryable: true },
  'mask-unable': { status: 502, title: 'The answer could not be masked and was withheld', retryable: false },
  'recording-unavailable': {
    status: 503,
    title: 'The record cannot be kept, so nothing was forwarded',
    retryable: true,
  },
  overloaded: { status: 503, title: 'Too much is waiting', retryable: true },
  'identity-unavailable': { status: 503, title: 'The identity provider cannot be asked', retryable: true },
  'credential-unavailable': {
    status: 503,
    title: 'The upstream credential is not available',
    retryable: true,
  },
  'shutting-down': { status: 503, title: 'The gateway is stopping', retryable: true },
  'upstream-timeout': { status: 504, title: 'The upstream took too long', retryable: true },
  'client-gone': { status: 499, title: 'The client went away', retryable: true },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof errorKinds

/**
 * A fault with a stable code. `detail` may leave the process and so never holds a secret, a payload or a
 * path of this machine; `internal` goes to the gateway's own log only.
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly internal: string | undefined

  constructor(code: ErrorCode, options: { detail?: string; internal?: string; cause?: unknown } = {}) {
    super(options.internal ?? options.detail ?? errorKinds[code].title, { cause: options.cause })
    this.code = code
    this.detail = options.detail
    this.internal = options.internal
  }

  get status(): number {
    return errorKinds[this.code].status
  }

  get title(): string {
    return errorKinds[this.code].title
  }
}

/** The one gate for what leaves: anything that is not a GatewayError becomes a bare `internal`. */
export function asGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError ? error : new GatewayError('internal', { cause: error })
}
