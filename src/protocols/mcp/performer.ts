/** Makes an exchange of a request and takes the path with it, and says what a client hears that may not, or must wait. */
import type { EntryRef } from '../../audit/audit.ts'
import type { Denial, Patience } from '../../gateway/exchange.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import { perform } from '../../gateway/perform.ts'
import { subjectKey } from '../../model/subject.ts'
import { McpAction, type Meaning } from './action.ts'
import { type Caller, checkAsk, type Parts } from './caller.ts'
import { writeMessage } from './codec.ts'
import type { Answer } from './downstream.ts'
import { type Io, McpExchange } from './exchange.ts'
import type { Outcome } from './feed.ts'
import type { Holds } from './holds.ts'
import { inspectOutcome } from './inspect.ts'
import { dressed } from './lists.ts'
import { approvalLink, denied } from './refusal.ts'
import { codes, type Fields, RpcError, type RpcRequest, textOf } from './rpc.ts'
import { mrtrMethods } from './work.ts'

/** How an action is performed. */
export interface Job {
  readonly meaning: Meaning
  /** What policy sees of it, where somebody has made it already. */
  readonly action?: McpAction
  readonly work: (io: Io) => Promise<Outcome>
  readonly gateway?: Gateway
  readonly mask?: readonly string[]
  /** What the structured form of the result must be. */
  readonly outputSchema?: unknown
  readonly round?: number
  /** In place of the denial: what a name gets that this client may not know of; undefined where it may. */
  readonly hidden?: (entry: EntryRef) => Outcome | undefined
  /** In place of waiting, where a person must decide: undefined if that can't be had. */
  readonly deferred?: (denial: Denial, entry: EntryRef) => Promise<Outcome | undefined>
}

/** Methods whose answers a model reads, besides those of `mrtrMethods`. */
const read: ReadonlySet<string> = new Set([
  'initialize',
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'tasks/get',
])

export class Performer {
  readonly #parts: Parts
  readonly #holds: Holds

  constructor(parts: Parts, holds: Holds) {
    this.#parts = parts
    this.#holds = holds
  }

  /** Resolves with the exchange at its end; what went wrong is in it. */
  async perform(caller: Caller, job: Job): Promise<McpExchange> {
    const exchange = this.#exchange(caller, job)
    const { client, asked } = caller
    const listens = asked.method === 'subscriptions/listen'
    const ended = client?.runs(exchange, listens ? undefined : asked.id)
    try {
      await perform(job.gateway ?? this.#parts.gateway, caller.session, exchange)
    } finally {
      ended?.()
    }
    return exchange
  }

  /** What never became an action. */
  tell(caller: Caller, outcome: Outcome): void {
    caller.answer?.finish(writeMessage({ kind: 'response', id: caller.asked.id, ...outcome }))
  }

  #exchange(caller: Caller, job: Job): McpExchange {
    const { gateway, connection, settings } = this.#parts
    const { asked, answer, left } = caller
    const action = job.action ?? new McpAction(asked, job.meaning)
    return new McpExchange({
      gateway,
      connection,
      asked,
      metadata: gateway.resourceMetadata?.(`/c/${connection.name}`),
      answer,
      left: left ?? answer?.left,
      action,
      foresee: subject => (job.gateway ?? gateway).policy.foresee(subject, connection, action),
      work: job.work,
      mask: job.mask ?? [],
      alsoSecret: secrets => {
        const principal = subjectKey(caller.session.subject)
        return this.#parts.virtual.servers.flatMap(each => each.alsoSecret({ principal, secrets }))
      },
      outputSchema: job.outputSchema,
      patience: answer === undefined ? undefined : this.#patience(caller, job),
      askClient: (request, to) => this.#askClient(caller, request, to),
      refusal: (denial, entry) => this.#refused(caller, job, { denial, entry }),
      inspect: outcome =>
        inspectOutcome(
          outcome,
          mrtrMethods.has(asked.method) || read.has(asked.method) ? settings.injection : 'off',
        ),
      onHeld: () => this.#holds.enter(caller, subjectKey(caller.session.subject)),
    })
  }

  /** Who can follow a task is not kept waiting. */
  #patience({ asked, session }: Caller, { deferred }: Job): Patience {
    const holdMs =
      deferred === undefined ? this.#holds.holdMs(asked.client.era, subjectKey(session.subject)) : 0
    return { holdMs, then: 'resubmit' }
  }

  async #refused(
    caller: Caller,
    job: Job,
    told: { readonly denial: Denial; readonly entry: EntryRef },
  ): Promise<Outcome> {
    const { denial, entry } = told
    const instead = denial.approval === undefined ? job.hidden?.(entry) : await job.deferred?.(denial, entry)
    return instead ?? this.refusal(caller, { ...told, round: job.round, meaning: job.meaning })
  }

  /** What a client hears that may not, or must wait: a round more where it can come back by itself. */
  refusal(
    caller: Caller,
    of: {
      readonly denial: Denial
      readonly entry: Pick<EntryRef, 'id'>
      readonly round?: number | undefined
      /** Absent: it does not come back. */
      readonly meaning?: Meaning
    },
  ): Outcome {
    const { gateway, settings, states } = this.#parts
    const { asked, session, answer } = caller
    const { denial, entry, meaning, round = 0 } = of
    const canComeBack =
      answer !== undefined &&
      asked.client.era === 'modern' &&
      mrtrMethods.has(asked.method) &&
      round < settings.hold.rounds
    if (denial.approval !== undefined && meaning !== undefined && canComeBack) {
      const binding = {
        principal: subjectKey(session.subject),
        digest: new McpAction(asked, meaning).digest(),
      }
      const requestState = states.seal({ round: round + 1 }, binding)
      return { result: { resultType: 'input_required', requestState } }
    }
    const outcome = denied(denial, entry, {
      method: asked.method,
      name: textOf(asked.params['name']),
      link: id => approvalLink(gateway, id),
    })
    return 'result' in outcome ? { result: dressed(caller, outcome.result, false) } : outcome
  }

  async #askClient(
    caller: Caller,
    request: Pick<RpcRequest, 'method' | 'params'>,
    answer: Answer,
  ): Promise<Fields> {
    const { client } = caller
    checkAsk(this.#parts, caller, request)
    if (client === undefined)
      throw new RpcError(codes.methodNotFound, 'The client has no session to be asked in')
    const send = (id: string): Promise<void> =>
      answer.message(writeMessage({ kind: 'request', id, method: request.method, params: request.params }))
    return await client.ask(send, answer.left)
  }
}
