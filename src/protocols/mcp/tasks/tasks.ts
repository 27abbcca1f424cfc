/**
 * The tasks extension, both ways: a call that waits for a person is a task of the gateway's, and a server's own tasks
 * pass through it under ids that are of use to nobody but who called (docs/adr/0027-tasks.md).
 */
import { randomBytes } from 'node:crypto'
import type { EntryRef } from '../../../audit/audit.ts'
import { GatewayError } from '../../../errors.ts'
import type { Denial } from '../../../gateway/exchange.ts'
import { type Caller, contactOf, type Parts, passedHeaders } from '../caller.ts'
import type { Io } from '../exchange.ts'
import type { Outcome } from '../feed.ts'
import { dressed, foreseen } from '../lists.ts'
import type { Job, Performer } from '../performer.ts'
import { approvalLink } from '../refusal.ts'
import { type Fields, fieldsOf, type RpcResponse, textOf } from '../rpc.ts'
import type { Server } from '../server.ts'
import { followUp, withDecision } from '../view.ts'
import { checkRequests } from '../work.ts'
import { declaresTasks, type TaskMethod, tasksMissing, unknownTask } from './extension.ts'
import { detailOf, hasEnded, summaryOf, type Task } from './task.ts'
import { type CallTool, mostKeptMs, TaskRuns } from './task-runs.ts'
import { TaskStore } from './task-store.ts'

/** The definition's own schema is kept with a task up to this size; without it, a masked structure is withheld. */
const mostSchemaChars = 64 * 1024

/** What a tool's call is, apart from its request. */
export type Called = Pick<Job, 'meaning' | 'mask' | 'outputSchema'>

export class Tasks {
  readonly #parts: Parts
  readonly #performer: Performer
  readonly #store: TaskStore | undefined
  readonly #runs: TaskRuns | undefined

  constructor(parts: Parts, of: { readonly performer: Performer; readonly callTool: CallTool }) {
    this.#parts = parts
    this.#performer = of.performer
    const { keeping } = parts.gateway
    if (keeping === undefined) return
    this.#store = new TaskStore(keeping)
    this.#runs = new TaskRuns(parts, { store: this.#store, ...of })
  }

  /** Whether this client's calls may become tasks. */
  serves({ asked }: Pick<Caller, 'asked'>): boolean {
    return this.#store !== undefined && declaresTasks(asked.client)
  }

  /** Answers `tasks/get`, `tasks/update` and `tasks/cancel`. Throws RpcError for what is not this caller's. */
  async take(caller: Caller): Promise<void> {
    const { asked } = caller
    if (!declaresTasks(asked.client)) throw tasksMissing()
    const task = await this.find(caller, textOf(asked.params['taskId']))
    if (task === undefined || this.#runs === undefined) throw unknownTask()
    if (task.standing.at === 'upstream') return await this.#forward(caller, task, task.standing.id)
    if (asked.method === 'tasks/get') return await this.#get(caller, task)
    if (asked.method === 'tasks/cancel') await this.#runs.cancel(caller, task)
    else await this.#runs.answer(caller, task, fieldsOf(asked.params['inputResponses']))
    this.#performer.tell(caller, { result: { resultType: 'complete' } })
  }

  /** A task of this caller's, here. */
  async find(caller: Caller, id: string | undefined): Promise<Task | undefined> {
    if (id === undefined || !/^task_[\w-]{32}$/.test(id)) return undefined
    return await this.#store?.find(this.#runs!.ownerOf(caller), id)
  }

  /** Its state now, and what is due begun. */
  async advance(caller: Caller, task: Task): Promise<Task> {
    return (await this.#runs?.advance(caller, task)) ?? task
  }

  /** Resolves at its next change, its approval's included, or when the signal fires. */
  async changed(caller: Caller, task: Task, signal: AbortSignal): Promise<void> {
    const { standing, id } = task
    if (standing.at !== 'held') return await this.#store?.changed(id, longestLookMs, signal)
    const owner = { subject: caller.session.subject, connection: this.#parts.connection.name }
    const asked = { ...owner, approval: standing.approval }
    await this.#parts.gateway.deferrals?.follow(asked, { ms: longestLookMs, signal })
  }

  /** In place of waiting: the call as a task, durable. Undefined where there is no room for it. */
  async hold(
    caller: Caller,
    called: Called,
    of: { readonly denial: Denial; readonly entry: EntryRef },
  ): Promise<Outcome | undefined> {
    const { approval } = of.denial
    if (approval === undefined || this.#store === undefined) return undefined
    const { asked, headers } = caller
    const now = Date.now()
    const link = approvalLink(this.#parts.gateway, approval.id)
    const ttlMs = Math.max(0, approval.expiresAt - now)
    const task: Task = {
      ...blank(called, now),
      call: {
        params: withoutProgress(asked.params),
        headers: [...headers].filter(([name]) => name.startsWith('mcp-param-')),
      },
      entry: of.entry.id,
      until: approval.expiresAt,
      ttlMs,
      note: `A person must approve this call; it has not been executed. Approval ${approval.id}, ${approval.state}${link === undefined ? '' : `: ${link}`}`,
      standing: { at: 'held', approval: approval.id },
    }
    if (!(await this.#store.add(this.#runs!.ownerOf(caller), task))) return undefined
    return { result: { resultType: 'task', ...summaryOf(task) } }
  }

  /** A server's answer to a call: where it is a task, it becomes one of this caller's. */
  async adopt(
    caller: Caller,
    called: Called,
    from: { readonly outcome: Outcome; readonly server: Server; readonly io: Io },
  ): Promise<Outcome> {
    const { outcome, io } = from
    if ('error' in outcome || outcome.result['resultType'] !== 'task') return outcome
    const upstream = textOf(outcome.result['taskId'])
    if (!this.serves(caller) || upstream === undefined)
      throw new GatewayError('upstream-invalid', { detail: 'a task that nobody can follow' })
    const now = Date.now()
    const { mask, maskRequest, record } = io.obligations
    const said = outcome.result['ttlMs']
    const ttlMs = typeof said === 'number' && said >= 0 ? Math.min(said, mostKeptMs) : mostKeptMs
    const task: Task = {
      ...blank(called, now),
      mask: [...new Set([...(called.mask ?? []), ...mask])],
      obligations: { maskRequest, record },
      until: now + ttlMs,
      ttlMs,
      standing: { at: 'upstream', id: upstream },
    }
    if (await this.#store!.add(this.#runs!.ownerOf(caller), task))
      return { result: { ...outcome.result, taskId: task.id, ttlMs } }
    await this.#ask(caller, { task, io, method: 'tasks/cancel', id: upstream }).catch(() => undefined)
    throw new GatewayError('overloaded', { detail: 'too many tasks are kept' })
  }

  async close(graceMs: number): Promise<void> {
    await this.#runs?.close(graceMs)
  }

  async #get(caller: Caller, task: Task): Promise<void> {
    const now = await this.advance(caller, task)
    if (now.standing.at === 'upstream') return await this.#forward(caller, now, now.standing.id)
    const detail = { resultType: 'complete', ...detailOf(now) }
    // To look how it stands reaches nobody; what it has come to is handed over on the path, as every answer is.
    if (!hasEnded(now)) return this.#performer.tell(caller, { result: detail })
    await this.#perform(caller, now, async () => ({ result: detail }))
  }

  async #forward(caller: Caller, task: Task, id: string): Promise<void> {
    const method = caller.asked.method as TaskMethod
    await this.#perform(caller, task, async io => {
      const { result, error } = await this.#ask(caller, { task, io, method, id })
      if (result === undefined) return { error: error! }
      checkRequests(this.#parts, caller, result)
      const own = method === 'tasks/get' ? { taskId: task.id } : {}
      return { result: dressed(caller, { ...result, ...own }, false) }
    })
  }

  async #perform(caller: Caller, task: Task, work: Job['work']): Promise<void> {
    const { method } = caller.asked
    const { meaning, mask, outputSchema } = task
    const decision = foreseen(this.#parts, caller, meaning)
    await this.#performer.perform(caller, {
      meaning: {
        ...meaning,
        operation: `${method}:${meaning.name ?? ''}`,
        known: true,
        risk: method === 'tasks/get' ? 'read' : meaning.risk,
      },
      gateway: withDecision(this.#parts.gateway, followUp(decision, task.obligations)),
      mask,
      outputSchema,
      work,
    })
  }

  async #ask(
    caller: Caller,
    of: { readonly task: Task; readonly io: Io; readonly method: TaskMethod; readonly id: string },
  ): Promise<RpcResponse> {
    const { task, io, method, id } = of
    const server = this.#parts.virtual.servers.find(({ name }) => name === task.meaning.server)
    if (server === undefined) throw unknownTask()
    const contact = contactOf(this.#parts, caller, io)
    const link = await server.link(contact)
    const given = method === caller.asked.method ? io.params : {}
    return await link.call({
      ...contact,
      method,
      params: { ...given, taskId: id },
      headers: passedHeaders(caller.headers),
    })
  }
}

/** A stream that waits looks again after this long, whatever it has heard. */
const longestLookMs = 20_000

function blank(
  { meaning, mask = [], outputSchema }: Called,
  now: number,
): Pick<Task, 'v' | 'id' | 'meaning' | 'mask' | 'outputSchema' | 'rounds' | 'createdAt' | 'updatedAt'> {
  const isSmall = outputSchema !== undefined && JSON.stringify(outputSchema).length <= mostSchemaChars
  return {
    v: 1,
    id: `task_${randomBytes(24).toString('base64url')}`,
    meaning,
    mask,
    ...(outputSchema === undefined ? {} : { outputSchema: isSmall ? outputSchema : { not: {} } }),
    rounds: 0,
    createdAt: now,
    updatedAt: now,
  }
}

/** Nobody hears of progress once the request is over. */
function withoutProgress(params: Fields): Fields {
  const { progressToken: _, ...meta } = fieldsOf(params['_meta'])
  return { ...params, _meta: meta }
}
