/**
 * Calls that wait for a person as tasks, on their way to a result. A call begins only while somebody who may have its
 * result asks for it, with that client's identity judged anew; it then runs to its end whether or not they go on asking.
 */
import { GatewayError } from '../../../errors.ts'
import type { Owner } from '../../../gateway/keeping.ts'
import { type Caller, checkAsk, type Parts } from '../caller.ts'
import type { McpExchange } from '../exchange.ts'
import type { Outcome } from '../feed.ts'
import type { Performer } from '../performer.ts'
import { faulted } from '../refusal.ts'
import { codes, type Fields, fieldsOf, RpcError, textOf } from '../rpc.ts'
import { openRequests, type Standing, type Task } from './task.ts'
import type { TaskStore } from './task-store.ts'

/** A result that comes this soon is in the answer to the request that began the call. */
const promptMs = 1000
/** What a task has come to is kept as long as its approval could wait, within these bounds. */
const leastKeptMs = 5 * 60_000
export const mostKeptMs = 24 * 3_600_000

/** Calls under way in this process, by task: one that is not there and has no end was cut off with its process. */
const underWay = new Set<string>()

export type CallTool = (caller: Caller) => Promise<McpExchange | undefined>

interface Run {
  readonly ended: Promise<void>
  readonly abort: AbortController
}

export class TaskRuns {
  readonly #parts: Parts
  readonly #store: TaskStore
  readonly #performer: Performer
  readonly #callTool: CallTool
  readonly #runs = new Map<string, Run>()

  constructor(parts: Parts, of: { store: TaskStore; performer: Performer; callTool: CallTool }) {
    this.#parts = parts
    this.#store = of.store
    this.#performer = of.performer
    this.#callTool = of.callTool
  }

  /** The task as it is now, after what is due was begun. */
  async advance(caller: Caller, task: Task): Promise<Task> {
    const owner = this.ownerOf(caller)
    const { standing } = task
    if (standing.at === 'held') return await this.#decided(caller, task, standing.approval)
    if (standing.at === 'running') {
      if (!underWay.has(task.id))
        return await this.#move(owner, task, {
          from: 'running',
          standing: { at: 'failed', error: cutOff(task) },
        })
      return await this.#soon(owner, task)
    }
    return task
  }

  /** Takes answers to open questions; with the last of them the call goes on. */
  async answer(caller: Caller, task: Task, responses: Fields): Promise<void> {
    const owner = this.ownerOf(caller)
    const after = await this.#store.change(owner, task.id, now => {
      if (now.standing.at !== 'asks') return now
      const open = openRequests(now.standing)
      const given = Object.entries(responses).filter(([key]) => Object.hasOwn(open, key))
      if (given.length === 0) return now
      const answers = { ...now.standing.answers, ...Object.fromEntries(given) }
      return { ...now, updatedAt: Date.now(), standing: { ...now.standing, answers } }
    })
    if (after?.standing.at !== 'asks' || Object.keys(openRequests(after.standing)).length > 0) return
    const { answers, requestState } = after.standing
    const prefix = keyPrefix(after.rounds)
    const inputResponses = Object.fromEntries(
      Object.entries(answers).map(([key, each]) => [key.slice(prefix.length), each]),
    )
    await this.#begin(caller, after, {
      inputResponses,
      ...(requestState === undefined ? {} : { requestState }),
    })
  }

  async cancel(caller: Caller, task: Task): Promise<void> {
    const { standing, id } = task
    const owner = this.ownerOf(caller)
    if (standing.at === 'held') {
      const asked = { ...owner, approval: standing.approval }
      await this.#parts.gateway.deferrals?.withdraw(asked)
    }
    this.#runs.get(id)?.abort.abort()
    if (standing.at === 'held' || standing.at === 'asks')
      await this.#move(owner, task, {
        from: standing.at,
        standing: { at: 'cancelled', why: 'Cancelled by its client' },
      })
  }

  /** Ends what runs after at most `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const all = [...this.#runs.values()]
    if (all.length === 0) return
    const timer = setTimeout(() => all.forEach(({ abort }) => abort.abort()), graceMs)
    await Promise.allSettled(all.map(({ ended }) => ended))
    clearTimeout(timer)
  }

  ownerOf({ session }: Caller): Owner {
    return { subject: session.subject, connection: this.#parts.connection.name }
  }

  async #decided(caller: Caller, task: Task, approval: string): Promise<Task> {
    const owner = this.ownerOf(caller)
    const signal = caller.answer?.left ?? new AbortController().signal
    const found = await this.#parts.gateway.deferrals?.follow({ ...owner, approval }, { ms: 0, signal })
    if (found?.approval.state === 'pending') return task
    if (found?.approval.state === 'approved') {
      await this.#begin(caller, task, {})
      return await this.#soon(owner, task)
    }
    if (found?.denial === undefined || found.approval.state === 'consumed') {
      const why = 'The same call was sent again and used the approval; its answer has the result'
      return await this.#move(owner, task, { from: 'held', standing: { at: 'cancelled', why } })
    }
    const refused = this.#performer.refusal(asCall(caller, task), {
      denial: found.denial,
      entry: { id: task.entry ?? '' },
    })
    return await this.#move(owner, task, { from: 'held', standing: standingOf(refused) })
  }

  /** Its state once it has ended, or after a short while. */
  async #soon(owner: Owner, task: Task): Promise<Task> {
    const run = this.#runs.get(task.id)
    if (run !== undefined) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>(resolve => (timer = setTimeout(resolve, promptMs)))
      await Promise.race([run.ended, late])
      clearTimeout(timer)
    }
    return (await this.#store.find(owner, task.id)) ?? task
  }

  /** Once: whoever comes second finds it begun. Resolves when that is durable. */
  async #begin(caller: Caller, task: Task, more: Fields): Promise<void> {
    const { id, call } = task
    if (call === undefined || underWay.has(id)) return
    underWay.add(id)
    const abort = new AbortController()
    const owner = this.ownerOf(caller)
    let begun = false
    try {
      await this.#store.change(owner, id, now => {
        if (now.standing.at !== task.standing.at) return now
        begun = true
        const at = Date.now()
        return {
          ...now,
          updatedAt: at,
          until: at + keptFor(now),
          note: 'It runs',
          standing: { at: 'running' },
        }
      })
    } finally {
      if (!begun) underWay.delete(id)
    }
    if (!begun) return
    const asked = { ...asCall(caller, task), left: abort.signal }
    const ended = this.#run({ ...asked, asked: { ...asked.asked, params: { ...call.params, ...more } } })
      .then(end => this.#ended(caller, task, end))
      .catch((error: unknown) => {
        this.#parts.gateway.logger?.error('the result of a task was not kept', {
          connection: this.#parts.connection.name,
          error: error instanceof Error ? error.message : 'unknown',
        })
      })
      .finally(() => {
        underWay.delete(id)
        this.#runs.delete(id)
      })
    this.#runs.set(id, { ended, abort })
  }

  async #run(caller: Caller): Promise<Ended> {
    try {
      const exchange = await this.#callTool(caller)
      const outcome = exchange?.outcome ?? faulted(new GatewayError('internal'), undefined)
      return { outcome, cancelled: exchange?.fault?.code === 'client-gone' }
    } catch (error) {
      if (error instanceof RpcError) return { outcome: { error: error.body }, cancelled: false }
      const fault = error instanceof GatewayError ? error : new GatewayError('internal', { cause: error })
      return { outcome: faulted(fault, undefined), cancelled: false }
    }
  }

  async #ended(caller: Caller, task: Task, { outcome, cancelled }: Ended): Promise<void> {
    const owner = this.ownerOf(caller)
    const standing: Standing = cancelled
      ? { at: 'cancelled', why: 'Cancelled by its client' }
      : standingOf(outcome)
    if (standing.at === 'asks') return await this.#asks(caller, task, standing)
    // The server's own task was taken in under an id of its own: this one stands for it from here on.
    const taken = standing.at === 'upstream' ? await this.#store.find(owner, standing.id) : undefined
    await this.#move(owner, task, { from: 'running', standing: taken?.standing ?? standing, taken })
  }

  /** Each key is used once in the life of a task. What policy does not let be asked ends it. */
  async #asks(caller: Caller, task: Task, standing: Extract<Standing, { at: 'asks' }>): Promise<void> {
    const owner = this.ownerOf(caller)
    const prefix = keyPrefix(task.rounds + 1)
    try {
      if (Object.keys(standing.requests).length === 0)
        throw new RpcError(codes.internal, 'The server asks to be called again, and says nothing to answer')
      for (const each of Object.values(standing.requests))
        checkAsk(this.#parts, caller, { method: textOf(fieldsOf(each)['method']) ?? '' })
    } catch (error) {
      const refused = error instanceof RpcError ? error.body : { code: codes.internal, message: 'refused' }
      await this.#move(owner, task, { from: 'running', standing: { at: 'failed', error: refused } })
      return
    }
    const requests = Object.fromEntries(
      Object.entries(standing.requests).map(([key, each]) => [prefix + key, each]),
    )
    await this.#store.change(owner, task.id, now =>
      now.standing.at === 'running'
        ? {
            ...now,
            rounds: now.rounds + 1,
            updatedAt: Date.now(),
            until: Date.now() + keptFor(now),
            standing: { ...standing, requests },
          }
        : now,
    )
  }

  /** Takes it from one state to another; where it is in another already, it stays. */
  async #move(
    owner: Owner,
    task: Task,
    to: { readonly from: Standing['at']; readonly standing: Standing; readonly taken?: Task | undefined },
  ): Promise<Task> {
    const { from, standing, taken } = to
    const now = Date.now()
    const after = await this.#store.change(owner, task.id, before => {
      if (before.standing.at !== from) return before
      const { call: _, note: __, ...rest } = before
      const next: Task = { ...rest, updatedAt: now, until: now + keptFor(before), standing }
      return taken === undefined
        ? next
        : {
            ...next,
            mask: taken.mask,
            until: taken.until,
            ...(taken.obligations && { obligations: taken.obligations }),
          }
    })
    return after ?? task
  }
}

interface Ended {
  readonly outcome: Outcome
  readonly cancelled: boolean
}

/** The call that a task stands for, as if its client sent it now. */
function asCall({ session, asked }: Caller, task: Task): Caller {
  return {
    session,
    headers: new Map(task.call?.headers),
    answer: undefined,
    client: undefined,
    asked: { id: task.id, method: 'tools/call', params: task.call?.params ?? {}, client: asked.client },
  }
}

function standingOf(outcome: Outcome): Standing {
  if ('error' in outcome) return { at: 'failed', error: outcome.error }
  const { resultType, ...result } = outcome.result
  if (resultType === 'task') return { at: 'upstream', id: textOf(result['taskId']) ?? '' }
  if (resultType !== 'input_required') return { at: 'completed', result }
  const requestState = textOf(result['requestState'])
  return {
    at: 'asks',
    requests: fieldsOf(result['inputRequests']),
    answers: {},
    ...(requestState === undefined ? {} : { requestState }),
  }
}

function keptFor({ ttlMs }: Task): number {
  return Math.min(Math.max(ttlMs, leastKeptMs), mostKeptMs)
}

function keyPrefix(round: number): string {
  return `${round}-`
}

/** The process ended while it ran: nobody here knows how it went, and the log says so too. */
function cutOff({ entry }: Task): { code: number; message: string; data: unknown } {
  return {
    code: codes.unavailable,
    message:
      'The gateway was stopped while the call ran, so its outcome is not known here. It is not run again: look at ' +
      'what it should have changed.',
    data: { code: 'outcome-unknown', ...(entry === undefined ? {} : { entry }) },
  }
}
