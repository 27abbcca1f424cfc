import type { SubjectFacts } from '../model/subject.ts'
import { changeLines } from './change-text.ts'
import { paint, paintOutcome, relativeTime, visible } from './output.ts'

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
    readonly kind: 'create' | 'update' | 'delete' | 'run'
    readonly changes: readonly {
      readonly path: string
      readonly before?: unknown
      readonly after?: unknown
    }[]
    readonly cut: boolean
    readonly foreseen?: readonly { readonly name: string; readonly text: string }[]
  }
  readonly approvers: readonly string[]
  readonly quorum: number
  readonly distinct_groups?: boolean
  readonly reason_required?: boolean
  readonly on_change?: string
  readonly may_vote?: boolean
  readonly votes: readonly {
    readonly by: { readonly email?: string; readonly id: string }
    readonly effect: string
    readonly reason?: string
    readonly channel?: string
  }[]
  readonly created?: string
  readonly expires: string
  readonly end_reason?: string
}

const open = new Set(['pending', 'approved'])

/** What an approver needs to decide: who, for whom, where, why, the exact request, and what will change. */
export function approvalText(approval: ApprovalView): string {
  const { requester, state } = approval
  const acted = requester.on_behalf_of
  const ends = open.has(state) ? `ends ${relativeTime(approval.expires)}` : (approval.end_reason ?? '')
  const asked = approval.created === undefined ? '' : `asked ${relativeTime(approval.created)}, `
  const what = `${paint('bold', visible(approval.operation))}  ${paint(riskStyle(approval.risk), approval.risk)}`
  return [
    `${paint('bold', approval.id)}  ${paintOutcome(state)}  ${paint('dim', `${asked}${visible(ends)}`)}`,
    '',
    row('who', `${paint('bold', visible(nameOf(requester)))} (${requester.kind})`),
    ...(acted === undefined ? [] : [row('for', paint('bold', visible(nameOf(acted))))]),
    row('where', `${visible(approval.connection)} (sensitivity ${approval.sensitivity})`),
    row('what', what),
    row('on', visible(approval.resource)),
    row('why', whyOf(approval)),
    row('needs', needsOf(approval)),
    ...approval.votes.map(vote => row('vote', voteText(vote))),
    ...foreseenText(approval),
    ...changesText(approval),
    ...requestText(approval),
  ].join('\n')
}

function row(name: string, text: string): string {
  return `  ${paint('dim', name.padEnd(6))} ${text}`
}

function nameOf({
  email,
  name,
  id,
}: {
  readonly email?: string
  readonly name?: string
  readonly id: string
}): string {
  return email ?? name ?? id
}

function riskStyle(risk: string): 'green' | 'yellow' | 'red' {
  return risk === 'read' ? 'green' : risk === 'write' ? 'yellow' : 'red'
}

function whyOf({ rule, message }: ApprovalView): string {
  return `rule ${paint('bold', visible(rule))}${message === undefined ? '' : `: ${visible(message)}`}`
}

function needsOf(approval: ApprovalView): string {
  const { quorum, approvers, distinct_groups: distinct, reason_required: reason, may_vote: may } = approval
  const words = [`${quorum} of ${approvers.map(visible).join(', ') || 'any approver'}`]
  if (distinct === true) words.push('each of another group')
  if (reason === true) words.push('with a reason')
  return `${words.join(', ')}${may === true ? paint('cyan', '  (you may vote)') : ''}`
}

function voteText({ effect, by, reason, channel }: ApprovalView['votes'][number]): string {
  const said = reason === undefined ? '' : `: ${visible(reason)}`
  const how = channel === undefined ? '' : paint('dim', ` (${channel})`)
  return `${paintOutcome(effect === 'approve' ? 'approved' : 'denied')} by ${visible(nameOf(by))}${how}${said}`
}

function foreseenText({ preview }: ApprovalView): string[] {
  const { foreseen = [], cut = false } = preview ?? {}
  if (foreseen.length === 0) return []
  const out = ['', '  The server expects']
  for (const { name, text } of foreseen) {
    const [first = '', ...more] = text.split('\n')
    if (more.length === 0) out.push(`    ${paint('dim', visible(name))}  ${visible(first)}`)
    else
      out.push(
        `    ${paint('dim', visible(name))}`,
        ...[first, ...more].map(line => `      ${visible(line)}`),
      )
  }
  if (cut) out.push(paint('dim', '      … and more'))
  return out
}

const kinds = { create: 'This creates', update: 'This changes', delete: 'This deletes' }

function changesText({ preview, on_change: onChange }: ApprovalView): string[] {
  if (preview === undefined || preview.kind === 'run') return []
  const out = ['', `  ${kinds[preview.kind]}`]
  out.push(...changeLines(preview.changes).map(line => `    ${line}`))
  if (preview.changes.length === 0) out.push(paint('dim', '    nothing: the resource is that way already'))
  if (preview.cut) out.push(paint('dim', '    … and more, see the request'))
  if (onChange !== undefined && preview.kind !== 'create') {
    const then = { run: 'it runs all the same', ask: 'it is asked again', refuse: 'it is refused' }[onChange]
    out.push(paint('dim', `    if the resource changes before it runs, ${then}`))
  }
  return out
}

function requestText({ request, digest }: ApprovalView): string[] {
  const { method, path, query, body } = request
  const out = ['', `  The exact request  ${paint('dim', digest)}`]
  if (method !== undefined) out.push(`    ${paint('bold', `${method} ${visible(path ?? '')}`)}`)
  if (query !== undefined && Object.keys(query as object).length > 0) out.push(...json('query', query))
  if (body !== undefined) out.push(...json('body', body))
  const rest = Object.entries(request).filter(([key]) => !['method', 'path', 'query', 'body'].includes(key))
  for (const [key, value] of method === undefined ? rest : []) out.push(...json(key, value))
  return out
}

function json(name: string, value: unknown): string[] {
  const lines = JSON.stringify(value, null, 2).split('\n')
  return [paint('dim', `    ${name}`), ...lines.map(line => `    ${visible(line)}`)]
}
