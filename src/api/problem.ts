import { type ErrorCode, errorKinds, type GatewayError } from '../errors.ts'

/** An RFC 9457 problem as the gateway sends it. `code` is stable; `type` is its page in the reference. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail?: string
  /** Id of the entry that tells of it. */
  readonly instance?: string
}

/** Where the reference describes the codes. */
export const problemBase = 'https://sallyport.dev/errors/'

/** What may leave of a fault: code, title and `detail`, never `internal`. */
export function problemOf(error: GatewayError, instance?: string): Problem {
  const code: ErrorCode = error.code
  return {
    type: problemBase + code,
    title: errorKinds[code].title,
    status: error.status,
    code,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(instance === undefined ? {} : { instance }),
  }
}
