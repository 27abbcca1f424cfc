import type { SubjectFacts } from '../model/subject.ts'
import { paint, paintOutcome, relativeTime } from './output.ts'

/** An approval as the API shows it. */
export interface ApprovalView {
  readonly id: string
  readonly state: string
  readonly requester: SubjectFacts
  readonly connection: string
  readonly sensitivity: string
  readonly operation: string
  readonly risk: string
  readonly resource: string
  readonly rule: string
  readonly message?: string
  readonly digest: string
  readonly request: {
    readonly method?: string
    readonly path?: string
    readonly query?: unknown
    readonly body?: unknown
  }
  readonly preview?: {
    readonly kind: 'create' | 'update' | 'delete'
    readonly changes: readonly {
      readonly path: string
      readonly before?: unknown
      readonly after?: unknown
    }[]
    readonly cut: boolean
  }
  readonly approvers: readonly string[]
  readonly quorum: number
  readonly votes: readonly {
    readonly by: { readonly email?: string; readonly id: string }
    readonly effect: string
    readonly reason?: string
  }[]
  readonly expires: string
}

/** What an approver needs to decide: who, where, what, why, and what will change. */
export function approvalText(approval: ApprovalView): string {
  const { requester, request, preview } = approval
  const acted = requester.on_behalf_of
  const who = requester.email ?? requester.name ?? requester.id
  const out = [
    `${paint('bold', approval.id)}  ${paintOutcome(approval.state)}  ends ${relativeTime(approval.expires)}`,
    `  who      ${who} (${requester.kind}${acted === undefined ? '' : ` for ${acted.email ?? acted.id}`})`,
    `  where    ${approval.connection} (${approval.sensitivity})`,
    `  what     ${paint('bold', approval.operation)} (${approval.risk})  ${approval.resource}`,
    `  why      rule ${approval.rule}${approval.message === undefined ? '' : `: ${approval.message}`}`,
    `  needs    ${approval.quorum} of ${approval.approvers.join(', ') || 'any approver'}`,
    ...approval.votes.map(
      vote =>
        `  vote     ${vote.effect} by ${vote.by.email ?? vote.by.id}${vote.reason === undefined ? '' : `: ${vote.reason}`}`,
    ),
  ]
  if (preview !== undefined) {
    out.push('', `  ${{ create: 'creates', update: 'changes', delete: 'deletes' }[preview.kind]}`)
    for (const { path, before, after } of preview.changes) {
      if (before !== undefined) out.push(paint('red', `    - ${path}: ${show(before)}`))
      if (after !== undefined) out.push(paint('green', `    + ${path}: ${show(after)}`))
    }
    if (preview.cut) out.push(paint('dim', '    and more'))
  }
  const head = request.method === undefined ? '' : `${request.method} ${request.path ?? ''}`
  out.push('', paint('dim', `  the exact request (${approval.digest.slice(0, 19)}…)`), `    ${head}`)
  if (request.body !== undefined)
    out.push(
      ...JSON.stringify(request.body, null, 2)
        .split('\n')
        .map(line => `    ${line}`),
    )
  return out.join('\n')
}

function show(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 199)}…` : text
}
