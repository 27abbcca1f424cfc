/** A denial or a fault in PostgreSQL's own form: an ErrorResponse with a fitting SQLSTATE (appendix A). */
import type { ErrorCode, GatewayError } from '../../errors.ts'
import type { Denial } from '../../gateway/exchange.ts'
import type { Report } from './messages.ts'

/** SQLSTATEs that the gateway itself gives. */
export const sqlStates = {
  denied: '42501', // insufficient_privilege
  unsupported: '0A000', // feature_not_supported
  protocol: '08P01', // protocol_violation
  syntax: '42601', // syntax_error
  badPassword: '28P01', // invalid_password
  badAuthorization: '28000', // invalid_authorization_specification
  tooLong: '54000', // program_limit_exceeded
  cancelled: '57014', // query_canceled
  failedTransaction: '25P02', // in_failed_sql_transaction
} as const

/** Approval is no error class of PostgreSQL's; `SP` is ours, in the range that is left to implementations. */
const approvalState = 'SP001'

const stateOf: Partial<Record<ErrorCode, string>> = {
  unauthenticated: sqlStates.badPassword,
  denied: sqlStates.denied,
  'invalid-request': sqlStates.unsupported,
  'body-too-large': sqlStates.tooLong,
  'too-many-rows': sqlStates.tooLong,
  'too-many-requests': '53400', // configuration_limit_exceeded
  overloaded: '53300', // too_many_connections
  'recording-unavailable': '58000', // system_error
  'identity-unavailable': '58000',
  'credential-unavailable': '58000',
  'upstream-unreachable': '08001', // sqlclient_unable_to_establish_sqlconnection
  'upstream-invalid': '08P01',
  'upstream-timeout': '08006', // connection_failure
  'mask-unable': sqlStates.denied,
  'shutting-down': '57P01', // admin_shutdown
  'client-gone': sqlStates.cancelled,
}

/** How a policy denial, a rate limit or a wait for people is told: rule and entry stand in the hint. */
export function denied(denial: Denial, entry: string): Report {
  const { approval, rule, reason } = denial
  const where = rule === undefined ? `reason: ${reason}` : `rule "${rule}", reason: ${reason}`
  if (approval !== undefined) {
    const again =
      approval.then === 'retry-later'
        ? 'Try again later'
        : 'Send the identical statement again once it is approved'
    return {
      severity: 'ERROR',
      code: approvalState,
      message: denial.message ?? `this statement waits for approval (${approval.id}, ${approval.state})`,
      hint: `${again}; ${where}; entry ${entry}.`,
    }
  }
  const limited = denial.retryAfterMs !== undefined
  const seconds = Math.max(1, Math.ceil((denial.retryAfterMs ?? 1000) / 1000))
  return {
    severity: 'ERROR',
    code: limited ? stateOf['too-many-requests']! : sqlStates.denied,
    message: denial.message ?? (limited ? 'too many statements' : 'permission denied by policy'),
    hint: `${limited ? `Try again in ${seconds} s; ` : ''}${where}; entry ${entry}.`,
  }
}

/** How a fault is told: its code and detail, never its cause. */
export function faulted(error: GatewayError, entry?: string): Report {
  return {
    severity: 'ERROR',
    code: stateOf[error.code] ?? 'XX000',
    message: error.detail ?? error.title,
    hint: `${error.code}${entry === undefined ? '' : `; entry ${entry}`}.`,
  }
}
