import { GatewayError } from '../errors.ts'

/**
 * One body of one content type on its way through the mask, as byte strings. `push` returns what is ready; `end` the
 * rest. Either throws `mask-unable` where something would have to pass unmasked.
 */
export interface Transform {
  push(text: string): string
  end(): string
}

/** The one refusal of this folder: says why, and never what. */
export function unable(detail: string, cause?: unknown): GatewayError {
  return new GatewayError('mask-unable', { detail, ...(cause === undefined ? {} : { cause }) })
}
