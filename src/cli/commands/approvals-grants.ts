import type { Command } from 'commander'
import type { ApprovalView } from '../approval-text.ts'
import { connect } from '../client.ts'
import { confirm } from '../confirm.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, paintOutcome, print, printJson, relativeTime, table, visible } from '../output.ts'

interface GrantView {
  readonly id: string
  readonly state: string
  readonly to: { readonly email?: string; readonly id?: string }
  readonly connection: string
  readonly operations: readonly string[]
  readonly risks: readonly string[]
  readonly reason: string
  readonly given_by: readonly string[]
  readonly until: string
}

interface BrokenView {
  readonly id: string
  readonly state: string
  readonly by: { readonly email?: string; readonly id: string }
  readonly connection: string
  readonly reason: string
  readonly until: string
}

interface GrantChoice {
  readonly to?: string
  readonly onBehalfOf?: string
  readonly like?: string
  readonly connection?: string
  readonly operation: string[]
  readonly risk: string[]
  readonly for: string
  readonly reason: string
}

/** `issuer#id`, or an e-mail address that an issuer vouches for. */
function someone(text: string): { issuer: string; id: string } | { email: string } {
  const at = text.indexOf('#')
  if (at > 0) return { issuer: text.slice(0, at), id: text.slice(at + 1) }
  if (text.includes('@')) return { email: text }
  throw new Failure('write an e-mail address, or issuer#id', exit.usage)
}

async function create(choice: GrantChoice, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const like =
    choice.like === undefined
      ? undefined
      : await api.call<ApprovalView>(`/approvals/${encodeURIComponent(choice.like)}`)
  const acted = like?.requester.on_behalf_of
  const to =
    choice.to === undefined
      ? like && { issuer: like.requester.issuer, id: like.requester.id }
      : someone(choice.to)
  const onBehalfOf =
    choice.onBehalfOf === undefined
      ? acted && { issuer: acted.issuer, id: acted.id }
      : someone(choice.onBehalfOf)
  const connection = choice.connection ?? like?.connection
  const operations = choice.operation.length > 0 ? choice.operation : like && [like.operation]
  if (to === undefined || connection === undefined || operations === undefined)
    throw new Failure('give --to, --connection and --operation, or --like <approval>', exit.usage)
  const risks = choice.risk.length > 0 ? choice.risk : like && [like.risk]
  const grant = await api.call<GrantView>('/grants', {
    method: 'POST',
    body: {
      to,
      ...(onBehalfOf === undefined ? {} : { on_behalf_of: onBehalfOf }),
      connection,
      operations,
      ...(risks === undefined ? {} : { risks }),
      duration: choice.for,
      reason: choice.reason,
    },
  })
  tell(grant, options.json)
}

function tell(grant: GrantView, json: boolean | undefined): void {
  if (json === true) return printJson(grant)
  const words = { active: 'in force', proposed: 'proposed; others must agree' }[grant.state] ?? grant.state
  print(`${paint('bold', grant.id)}  ${words}, ends ${relativeTime(grant.until)}`)
}

async function list(choice: { readonly all?: boolean }, command: Command): Promise<void> {
  const options = globals(command)
  const query = { all: choice.all === true ? 'true' : undefined }
  const { grants } = await (await connect(options)).call<{ grants: GrantView[] }>('/grants', { query })
  if (options.json === true) return grants.forEach(printJson)
  if (grants.length === 0) return hint('no grant is in force')
  const rows = grants.map(each => [
    each.id,
    each.state,
    relativeTime(each.until),
    visible(each.to.email ?? each.to.id ?? ''),
    each.connection,
    visible(`${each.operations.join(', ')} (${each.risks.join(', ')})`),
    visible(`${each.given_by.join(', ')}: ${each.reason}`),
  ])
  print(table(['grant', 'state', 'ends', 'to', 'connection', 'operations', 'given by'], rows))
}

async function agree(id: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const path = `/grants/${encodeURIComponent(id)}/approve`
  tell(await (await connect(options)).call<GrantView>(path, { method: 'POST' }), options.json)
}

async function revoke(id: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const path = `/grants/${encodeURIComponent(id)}`
  const grant = await (await connect(options)).call<GrantView>(path, { method: 'DELETE' })
  if (options.json === true) printJson(grant)
  else hint(`revoked ${id}`)
}

async function breakGlass(
  connection: string,
  choice: { readonly reason: string; readonly for: string; readonly yes?: boolean },
  command: Command,
): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  await confirm(
    `Break the glass on ${connection} for ${choice.for}? It is alarmed at once, and every action under it names it.`,
    choice.yes === true || options.json === true,
  )
  const body = { connection, reason: choice.reason, duration: choice.for }
  const broken = await api.call<BrokenView>('/break-glass', { method: 'POST', body })
  if (options.json === true) return printJson(broken)
  print(`${paint('red', 'the glass is broken')} on ${broken.connection}, ends ${relativeTime(broken.until)}`)
  hint(`end it with: sallyport approvals break-glass-end ${broken.id}`)
}

async function breakGlassEnd(id: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const path = `/break-glass/${encodeURIComponent(id)}`
  const broken = await (await connect(options)).call<BrokenView>(path, { method: 'DELETE' })
  if (options.json === true) printJson(broken)
  else hint(`ended ${id}`)
}

async function breakGlassList(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const { break_glass: found } = await (await connect(options)).call<{ break_glass: BrokenView[] }>(
    '/break-glass',
  )
  if (options.json === true) return found.forEach(printJson)
  if (found.length === 0) return hint('the glass was not broken')
  const rows = found.map(each => [
    each.id,
    each.state === 'active' ? paint('red', each.state) : each.state,
    relativeTime(each.until),
    visible(each.by.email ?? each.by.id),
    each.connection,
    visible(each.reason),
  ])
  print(table(['break-glass', 'state', 'ends', 'by', 'connection', 'reason'], rows))
}

async function linkSlack(code: string, choice: { readonly yes?: boolean }, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const path = `/integrations/slack/links/${encodeURIComponent(code)}`
  const slack = await api.call<{ team: string; user: string; username: string }>(path)
  const who = `@${visible(slack.username)} (${visible(slack.user)} of team ${visible(slack.team)})`
  await confirm(
    `Is the Slack user ${paint('bold', who)} you? Their clicks will be your votes.`,
    choice.yes === true || options.json === true,
  )
  await api.call(path, { method: 'POST' })
  if (options.json === true) printJson(slack)
  else hint(`linked ${who}; click again in Slack`)
}

async function unlinkSlack(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const { ended } = await api.call<{ ended: number }>('/integrations/slack/links', { method: 'DELETE' })
  if (options.json === true) printJson({ ended })
  else hint(ended === 0 ? 'there was no link' : 'unlinked')
}

async function notifiers(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const { notifiers: found } = await (await connect(options)).call<{
    notifiers: {
      name: string
      type: string
      state: string
      lag: { entries: number }
      last_error?: { detail: string }
    }[]
  }>('/notifiers')
  if (options.json === true) return found.forEach(printJson)
  if (found.length === 0) return hint('no notifier is configured (approvals.notifiers)')
  const rows = found.map(each => [
    each.name,
    each.type,
    paintOutcome(each.state),
    String(each.lag.entries),
    visible(each.last_error?.detail ?? ''),
  ])
  print(table(['notifier', 'type', 'state', 'behind', 'last error'], rows))
}

const more = (value: string, all: string[]): string[] => [...all, value]

/** Consent for more than one action, and where approvers are reached. */
export function addConsentCommands(approvals: Command): void {
  const grant = approvals
    .command('grant')
    .description('Consent ahead: for a while and a pattern of operations')
  grant
    .command('create')
    .description('Give a grant; never to yourself, nor to an agent that acts for you')
    .option('--to <who>', 'an e-mail address, or issuer#id')
    .option('--on-behalf-of <who>', 'only while the agent acts for this person')
    .option('--like <approval>', 'take requester, connection, operation and risk from this request')
    .option('--connection <name>', 'where')
    .option('--operation <pattern>', '`*` stands for any text; repeatable', more, [])
    .option('--risk <risk>', 'read, write, delete or admin; repeatable. Default: read and write', more, [])
    .requiredOption('--for <duration>', 'how long, such as 30m')
    .requiredOption('--reason <text>', 'why')
    .action(create)
  grant.command('list').description('What is in force').option('--all', 'also what is over').action(list)
  grant.command('approve <id>').description('Agree to a proposed grant').action(agree)
  grant.command('revoke <id>').description('End a grant now').action(revoke)
  approvals
    .command('break-glass <connection>')
    .description(
      'In an emergency: let asks pass for a while, for you and agents acting for you. Alarmed at once',
    )
    .requiredOption('--reason <text>', 'what has happened')
    .option('--for <duration>', 'how long', '15m')
    .option('--yes', 'do not ask back')
    .action(breakGlass)
  approvals.command('break-glass-list').description('Where the glass was broken').action(breakGlassList)
  approvals.command('break-glass-end <id>').description('End it before its time').action(breakGlassEnd)
  approvals
    .command('link-slack <code>')
    .description('Say that a Slack user is you, with the code that Slack showed you')
    .option('--yes', 'do not ask back')
    .action(linkSlack)
  approvals.command('unlink-slack').description('End all links of Slack users to you').action(unlinkSlack)
  approvals.command('notifiers').description('How the notifiers are doing').action(notifiers)
}
