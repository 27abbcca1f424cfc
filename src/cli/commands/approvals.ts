import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { Entry } from '../../audit/events.ts'
import { approvalText, type ApprovalView } from '../approval-text.ts'
import { addConsentCommands } from './approvals-grants.ts'
import { type ApiClient, connect, lines } from '../client.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, paintOutcome, print, printJson, relativeTime, table, visible } from '../output.ts'

async function list(choice: { readonly all?: boolean }, command: Command): Promise<void> {
  const options = globals(command)
  const query = { all: choice.all === true ? 'true' : undefined }
  const { approvals } = await (await connect(options)).call<{ approvals: ApprovalView[] }>('/approvals', {
    query,
  })
  if (options.json === true) return approvals.forEach(printJson)
  if (approvals.length === 0) return hint('nothing waits for approval')
  const rows = approvals.map(each => [
    each.id,
    paintOutcome(each.state),
    each.state === 'pending' || each.state === 'approved' ? relativeTime(each.expires) : '',
    each.connection,
    paint('bold', visible(each.operation)),
    visible(each.requester.email ?? each.requester.name ?? each.requester.id),
  ])
  print(table(['approval', 'state', 'ends', 'connection', 'operation', 'requester'], rows))
}

async function show(id: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const approval = await (await connect(options)).call<ApprovalView>(`/approvals/${encodeURIComponent(id)}`)
  if (options.json === true) printJson(approval)
  else print(approvalText(approval))
}

async function vote(
  api: ApiClient,
  id: string,
  ballot: { effect: 'approve' | 'deny'; reason?: string | undefined },
): Promise<ApprovalView> {
  const { effect, reason } = ballot
  return await api.call<ApprovalView>(`/approvals/${encodeURIComponent(id)}/${effect}`, {
    method: 'POST',
    body: { channel: 'cli', ...(reason === undefined ? {} : { reason }) },
  })
}

function decide(effect: 'approve' | 'deny') {
  return async (
    id: string,
    choice: { readonly reason?: string; readonly yes?: boolean },
    command: Command,
  ): Promise<void> => {
    const options = globals(command)
    const api = await connect(options)
    if (choice.yes !== true && process.stdin.isTTY && options.json !== true) {
      print(approvalText(await api.call<ApprovalView>(`/approvals/${encodeURIComponent(id)}`)))
      const terminal = createInterface({ input: process.stdin, output: process.stderr })
      const answer = await terminal.question(`\n${effect} this? [y/N] `)
      terminal.close()
      if (!/^y(es)?$/i.test(answer.trim())) throw new Failure('nothing was decided')
    }
    const after = await vote(api, id, { effect, reason: choice.reason })
    if (options.json === true) return printJson(after)
    const missing = after.quorum - after.votes.filter(each => each.effect === 'approve').length
    hint(after.state === 'pending' ? `counted; ${missing} more needed` : `${id} is ${after.state}`)
  }
}

async function watch(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const seen = new Map<string, string>()
  const look = async (): Promise<void> => {
    const { approvals } = await api.call<{ approvals: ApprovalView[] }>('/approvals')
    for (const each of approvals.toReversed()) {
      if (seen.get(each.id) === each.state) continue
      seen.set(each.id, each.state)
      if (options.json === true) printJson(each)
      else if (each.state === 'pending') print(`${approvalText(each)}\n`)
      else print(`${each.id} is ${paintOutcome(each.state)}`)
    }
  }
  await look()
  hint('waiting for requests; Ctrl-C ends it')
  const stream = await api.stream('/audit/stream').catch(() => undefined)
  if (stream === undefined) return await poll(look)
  for await (const line of lines(stream)) {
    if (!line.startsWith('data: ')) continue
    const entry = JSON.parse(line.slice(6)) as Entry
    if (entry.kind.startsWith('approval.')) await look()
  }
}

/** For approvers who may not read the log. */
async function poll(look: () => Promise<void>): Promise<never> {
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, 2000))
    await look()
  }
}

async function cancel(id: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const path = `/approvals/${encodeURIComponent(id)}`
  const approval = await (await connect(options)).call<ApprovalView>(path, { method: 'DELETE' })
  if (options.json === true) printJson(approval)
  else hint(`withdrew ${id}`)
}

async function wait(id: string, choice: { readonly timeout: string }, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const until = Date.now() + Number(choice.timeout) * 1000
  let approval: ApprovalView
  do {
    const seconds = Math.min(50, Math.max(0, Math.ceil((until - Date.now()) / 1000)))
    approval = await api.call<ApprovalView>(`/approvals/${encodeURIComponent(id)}`, {
      query: { wait: seconds },
    })
  } while (approval.state === 'pending' && Date.now() < until)
  if (options.json === true) printJson(approval)
  else print(`${id} is ${paintOutcome(approval.state)}`)
  if (approval.state !== 'approved') process.exitCode = exit.failed
}

export function approvalsCommand(program: Command): void {
  const approvals = program.command('approvals').description('See and decide what waits for a person')
  approvals.command('list').description('What is open').option('--all', 'also what has ended').action(list)
  approvals.command('show <id>').description('Who asks, what will run, and what it will change').action(show)
  for (const effect of ['approve', 'deny'] as const) {
    approvals
      .command(`${effect} <id>`)
      .description(effect === 'approve' ? 'Vote for it; it runs once' : 'Vote against it, which ends it')
      .option('--reason <text>', 'why; some rules require it')
      .option('--yes', 'do not ask back')
      .action(decide(effect))
  }
  approvals.command('watch').description('Show requests as they come').action(watch)
  approvals
    .command('wait <id>')
    .description('Wait for the decision; exit 0 only when approved')
    .option('--timeout <seconds>', 'longest wait', '600')
    .action(wait)
  approvals.command('cancel <id>').description('Withdraw a request').action(cancel)
  addConsentCommands(approvals)
}
