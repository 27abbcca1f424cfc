/**
 * A denial or a fault in MCP's own form. A tool's caller gets a result with `isError`, since that is what the model
 * reads; every other request gets a JSON-RPC error. Both say that nothing ran, which rule decided, and the entry.
 */
import type { EntryRef } from '../../audit/audit.ts'
import type { GatewayError } from '../../errors.ts'
import type { Denial } from '../../gateway/exchange.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { Outcome } from './feed.ts'
import { codes, type Fields, RpcError } from './rpc.ts'

const metaKey = 'dev.sallyport/denial'

export interface Refusing {
  readonly method: string
  readonly name: string | undefined
  /** Where the person who asks can see the approval. */
  readonly link: (approval: string) => string | undefined
}

/** Undefined where the gateway has no address of its own. */
export function approvalLink(
  { publicUrl = '' }: Pick<Gateway, 'publicUrl'>,
  approval: string,
): string | undefined {
  return publicUrl === '' ? undefined : `${publicUrl.replace(/\/+$/, '')}/console/approvals/${approval}`
}

export function denied(denial: Denial, entry: Pick<EntryRef, 'id'>, of: Refusing): Outcome {
  const { approval } = denial
  const link = approval === undefined ? undefined : of.link(approval.id)
  const told: Record<string, unknown> = {
    status: approval === undefined ? 'denied' : 'approval-pending',
    executed: false,
    reason: denial.reason,
    ...(denial.rule === undefined ? {} : { rule: denial.rule }),
    entry: entry.id,
    ...(denial.retryAfterMs === undefined ? {} : { retry_after_ms: denial.retryAfterMs }),
    ...(approval === undefined
      ? {}
      : {
          approval_id: approval.id,
          expires: new Date(approval.expiresAt).toISOString(),
          retry_after_ms: approval.retryAfterMs,
          ...(link === undefined ? {} : { approval_url: link }),
        }),
  }
  const text = approval === undefined ? wordsOf(denial, entry) : waiting(denial, told, of)
  if (of.method === 'tools/call') {
    const structured = approval === undefined ? {} : { structuredContent: told }
    return {
      result: { content: [{ type: 'text', text }], ...structured, isError: true, _meta: { [metaKey]: told } },
    }
  }
  const code =
    approval !== undefined
      ? codes.approvalPending
      : denial.retryAfterMs !== undefined
        ? codes.rateLimited
        : codes.denied
  return { error: { code, message: text, data: told } }
}

function wordsOf(denial: Denial, entry: Pick<EntryRef, 'id'>): string {
  const by =
    denial.rule === undefined
      ? `No rule allows this (${denial.reason}).`
      : `The rule "${denial.rule}" decided this (${denial.reason}).`
  const said = denial.message === undefined ? '' : ` ${denial.message}`
  const again =
    denial.retryAfterMs === undefined
      ? ''
      : ` It may be tried again in ${Math.ceil(denial.retryAfterMs / 1000)} s.`
  return `Refused by the gateway; it was not executed. ${by}${said}${again} Entry ${entry.id}.`
}

function waiting(denial: Denial, told: Fields, of: Refusing): string {
  const id = String(told['approval_id'])
  const where = told['approval_url'] === undefined ? '' : ` (${String(told['approval_url'])})`
  const rule = denial.rule === undefined ? '' : ` by the rule "${denial.rule}"`
  const wait = of.method === 'tools/call' ? ` To wait, call approval_wait with {"id":"${id}"}.` : ''
  return (
    `Held for approval ${id}${where}${rule}. It was not executed. ${denial.message ?? ''} ` +
    `Once a person has approved, send the same call again with identical arguments, and it runs once.${wait}`
  ).replace('  ', ' ')
}

/** What a name gets that nobody here answers to, or that this client may not know of. */
export function unknownTool(name: string): Outcome {
  return { error: { code: codes.invalidParams, message: `Unknown tool: ${name.slice(0, 256)}` } }
}

/** A fault: its code and detail, never its cause. */
export function faulted(
  error: GatewayError,
  entry: EntryRef | undefined,
): Extract<Outcome, { error: unknown }> {
  const detail = error.detail === undefined ? '' : `: ${error.detail}`
  return {
    error: {
      code: codes.unavailable,
      message: `${error.title}${detail}`,
      data: { code: error.code, ...(entry === undefined ? {} : { entry: entry.id }) },
    },
  }
}

/** A fault before there was an action, as the client hears it. */
export function asRpcError(fault: GatewayError): RpcError {
  if (fault.cause instanceof RpcError) return fault.cause
  const { code, message, data } = faulted(fault, undefined).error
  return new RpcError(code, message, { data })
}
