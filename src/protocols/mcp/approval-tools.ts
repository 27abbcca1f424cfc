/** Two tools of the gateway's own, for a client whose call waits for a person: look, and wait. They run nothing. */
import type { Caller, Parts } from './caller.ts'
import type { Outcome } from './feed.ts'
import { foreseen } from './lists.ts'
import { itemMeaning } from './meaning.ts'
import { codes, type Fields, fieldsOf, RpcError, textOf } from './rpc.ts'
import type { Offered } from './virtual-server.ts'

const longestWaitMs = 50_000

const inputSchema = {
  type: 'object',
  properties: { id: { type: 'string', description: 'The approval’s id, from the answer to the held call' } },
  required: ['id'],
  additionalProperties: false,
}
const annotations = { readOnlyHint: true, idempotentHint: true, openWorldHint: false }

const definitions: readonly Fields[] = [
  {
    name: 'approval_status',
    title: 'Status of an approval',
    description: 'Says whether a person has decided about one of your held calls. Runs nothing.',
    inputSchema,
    annotations,
  },
  {
    name: 'approval_wait',
    title: 'Wait for an approval',
    description:
      'Waits up to 50 seconds for a person to decide about one of your held calls. Runs nothing: once it is ' +
      'approved, send the held call again with identical arguments.',
    inputSchema,
    annotations,
  },
]

export const approvalToolNames: ReadonlySet<string> = new Set(['approval_status', 'approval_wait'])

/** Shown to who may be asked to wait. */
export function approvalTools(parts: Parts, caller: Caller, visible: readonly Offered[]): readonly Fields[] {
  if (parts.gateway.deferrals === undefined) return []
  const waits = visible.some(each => foreseen(parts, caller, itemMeaning('tools', each)).effect === 'ask')
  return waits ? definitions : []
}

/** Throws `invalidParams`. An approval of somebody else does not exist for this caller. */
export async function callApprovalTool(
  { gateway, connection }: Parts,
  { session, asked }: Caller,
  signal: AbortSignal,
): Promise<Outcome> {
  const id = textOf(fieldsOf(asked.params['arguments'])['id'])
  if (id === undefined) throw new RpcError(codes.invalidParams, 'Invalid params: id is missing')
  const ms = asked.params['name'] === 'approval_wait' ? longestWaitMs : 0
  const { subject } = session
  const followed = await gateway.deferrals?.follow(
    { subject, connection: connection.name, approval: id },
    { ms, signal },
  )
  if (followed === undefined) return told(`There is no approval ${id.slice(0, 64)} of yours here.`, {}, true)
  const { approval, denial } = followed
  const state = denial === undefined ? approval.state : 'ended'
  const members = { approval_id: approval.id, state, expires: new Date(approval.expiresAt).toISOString() }
  if (denial !== undefined)
    return told(denial.message ?? `It ended: ${denial.reason}.`, { ...members, reason: denial.reason }, false)
  const text =
    approval.state === 'approved'
      ? `Approved. Send the held call again with identical arguments; it runs once.`
      : `Still waiting for a person. Nothing was executed.`
  return told(text, members, false)
}

function told(text: string, structuredContent: Fields, isError: boolean): Outcome {
  return { result: { content: [{ type: 'text', text }], structuredContent, ...(isError ? { isError } : {}) } }
}
