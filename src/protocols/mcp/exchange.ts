/**
 * One request and its answer, as the path drives them. What the server says before its answer streams through, masked;
 * the answer itself leaves only after the terminal entry is durable.
 */
import type { ActionResult, EntryRef } from '../../audit/audit.ts'
import type { Lease } from '../../credentials/lease.ts'
import { GatewayError } from '../../errors.ts'
import type {
  Cleared,
  Denial,
  Exchange,
  MaskedReply,
  Patience,
  Recorded,
  Reply,
  Seal,
} from '../../gateway/exchange.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { Masker, MaskReport } from '../../masking/masker.ts'
import type { Connection } from '../../model/connection.ts'
import type { Decision, Obligations } from '../../model/decision.ts'
import type { Subject } from '../../model/subject.ts'
import type { Frame, Recorder } from '../../recording/recorder.ts'
import { bothMaskers, mergeReports, nothingMasked } from '../../masking/both-maskers.ts'
import { stepUp } from '../http/refusal.ts'
import { type Asked, type McpAction, spoken } from './action.ts'
import { writeJson, writeMessage } from './codec.ts'
import { ContentMask } from './content-mask.ts'
import type { Answer } from './downstream.ts'
import { credentialRefused, ScopesLacking } from './link.ts'
import { Feed, type FeedEvent, type Outcome } from './feed.ts'
import { faulted } from './refusal.ts'
import { codes, type Fields, fieldsOf, RpcError, type RpcNotification, type RpcRequest } from './rpc.ts'
import { RunningMask } from './running-mask.ts'
import { stillFits } from './schema-fit.ts'
import { finalOf, withFinal } from './tasks/extension.ts'

/** What the work of a request may use. Everything it hears goes to the client through here. */
export interface Io {
  readonly secrets: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly action: McpAction
  /** The request's params, masked where a rule says so. */
  readonly params: Fields
  /** What the decision demands of the answer. */
  readonly obligations: Obligations
  starting(): void
  notify(notification: RpcNotification): Promise<void>
  /** Asks the client. Throws RpcError where it can't or may not be asked. */
  ask(request: Pick<RpcRequest, 'method' | 'params'>): Promise<Fields>
  /** The server answers with a stream, so the client gets one; `letGo`: it may do without one until it asks again. */
  stream(letGo: boolean): void
}

export interface ExchangeParts {
  readonly gateway: Gateway
  readonly connection: Connection
  readonly action: McpAction
  readonly asked: Asked
  /** Where the client learns who gives it tokens (RFC 9728). */
  readonly metadata: string | undefined
  /** Absent for what the gateway asks by itself. */
  readonly answer: Answer | undefined
  /** Fires when nobody wants it any more. */
  readonly left: AbortSignal | undefined
  /** Does what was asked. */
  readonly work: (io: Io) => Promise<Outcome>
  /** Mask profiles that the answer gets whatever policy says. */
  readonly mask: readonly string[]
  /** What else a server knows and no client may see, given what was lent. */
  readonly alsoSecret: (secrets: Readonly<Record<string, string>>) => readonly string[]
  /** What a tool promises its structured result to be; absent: nothing. */
  readonly outputSchema: unknown
  readonly patience: Patience | undefined
  /** Sends a request to a 2025-era client and resolves with its result. */
  readonly askClient: (request: Pick<RpcRequest, 'method' | 'params'>, answer: Answer) => Promise<Fields>
  /** The form of a denial for this client. */
  readonly refusal: (denial: Denial, entry: EntryRef) => Promise<Outcome>
  /** Looks at an answer's texts for what should not be in them; a word for each kind that it finds. */
  readonly inspect: (texts: Outcome) => { readonly flags: readonly string[]; readonly outcome: Outcome }
  /** What policy would say of it now, and to whoever comes back for the rest of its answer. */
  readonly foresee: (subject: Subject) => Decision
  /** Called when the call begins to wait for a person; gives how to stop. */
  readonly onHeld: () => () => void
}

export class McpExchange implements Exchange {
  readonly action: McpAction
  readonly patience?: Patience
  readonly signal: AbortSignal
  readonly #abort = new AbortController()
  readonly #parts: ExchangeParts
  readonly #feed = new Feed()
  #release: (() => void) | undefined
  #recorder: Recorder | undefined
  #upMask: Masker | undefined
  #mask: ContentMask | undefined
  #running: RunningMask | undefined
  #maskedUp: MaskReport = nothingMasked
  #startedAt = 0
  #bytesIn = 0
  #bytesOut = 0
  #isError = false
  #flags: readonly string[] = []
  /** What came of it, for the gateway's own requests. */
  outcome: Outcome | undefined
  fault: GatewayError | undefined

  constructor(parts: ExchangeParts) {
    this.#parts = parts
    this.action = parts.action
    if (parts.patience !== undefined) this.patience = parts.patience
    this.signal = this.#abort.signal
    const { left } = parts
    if (left?.aborted === true) this.cancel()
    left?.addEventListener('abort', () => this.cancel(), { once: true })
  }

  /** The client does not want it any more. */
  cancel(): void {
    this.#abort.abort(new GatewayError('client-gone'))
  }

  cut(): void {
    this.cancel()
    this.#parts.answer?.abandon()
  }

  record(recorder: Recorder, masker: Masker): void {
    this.#recorder = recorder
    const { asked, gateway, connection, mask } = this.#parts
    const all = mask.length === 0 ? masker : bothMaskers(gateway.masker(mask, connection), masker)
    const shown = all.json(spoken(asked.params)) as Fields
    const text = writeJson({ jsonrpc: '2.0', id: asked.id, method: asked.method, params: shown })
    this.#bytesIn = Buffer.byteLength(text)
    const head = {
      method: asked.method,
      target: String(all.json(asked.params['name'] ?? asked.params['uri'] ?? '')),
    }
    void this.#frame('client', 'head', writeJson(head))
    void this.#frame('client', 'message', text)
    all.takeReport()
  }

  held(): void {
    this.#release ??= this.#parts.onHeld()
  }

  async forward(cleared: Cleared, lease: Lease, starting: () => void): Promise<Reply> {
    this.#endHold()
    if (this.signal.aborted) throw new GatewayError('client-gone')
    const { gateway, connection, action, asked, work, answer } = this.#parts
    const { maskRequest } = cleared.obligations
    if (maskRequest.length > 0) this.#upMask = gateway.masker(maskRequest, connection)
    const params = this.#masked(asked.params)
    this.#startedAt = performance.now()
    let started = false
    const { foresee } = this.#parts
    const { mask } = cleared.obligations
    // What is kept was masked as policy said then.
    const heardBy = (subject: Subject): boolean => {
      const { effect, obligations } = foresee(subject)
      return effect !== 'deny' && obligations.mask.every(each => mask.includes(each))
    }
    const outcome = work({
      secrets: lease.secrets,
      signal: this.signal,
      action,
      params,
      obligations: cleared.obligations,
      starting() {
        if (!started) starting()
        started = true
        answer?.outlives(heardBy)
      },
      stream(letGo) {
        if (letGo) answer?.letGo()
        else if (asked.client.era === 'legacy') answer?.open()
      },
      notify: message => this.#feed.notify(message),
      ask: async request => this.#masked(await this.#feed.ask(request)),
    })
    this.#feed.end(
      outcome.catch(async (error: unknown) => {
        // What was issued for this upstream is of no use there: the next lease gets another.
        if (error instanceof GatewayError && error.cause === credentialRefused) lease.refused?.()
        if (error instanceof GatewayError && error.cause instanceof ScopesLacking) {
          const advice = await lease.lacks?.(error.cause.scopes, error.cause.names)
          if (advice !== undefined) throw new GatewayError('consent-needed', { detail: advice })
        }
        throw error
      }),
    )
    return new McpReply(masker => {
      const { mask, alsoSecret } = this.#parts
      const own = {
        secrets: {},
        alsoSecret: alsoSecret(lease.secrets),
        [Symbol.asyncDispose]: async () => {},
      }
      const idle = mask.length === 0 && own.alsoSecret.length === 0
      this.#mask = new ContentMask(idle ? masker : bothMaskers(gateway.masker(mask, connection, own), masker))
    })
  }

  async send(recorded: Recorded, seal: Seal): Promise<void> {
    if (!(recorded.reply instanceof McpReply)) throw new TypeError('a reply of another protocol')
    for (;;) {
      const event = await this.#next()
      if (event.kind === 'notification') await this.#sendNotification(event)
      else if (event.kind === 'request') await this.#sendRequest(event)
      else return await this.#sendOutcome(event.outcome, seal)
    }
  }

  async refuse(denial: Denial, entry: EntryRef): Promise<void> {
    this.#endHold()
    const outcome = await this.#parts.refusal(denial, entry)
    if (denial.scopes === undefined) return this.#finish(outcome)
    this.outcome = outcome
    const challenge = stepUp(denial.scopes, this.#parts.metadata)
    this.#parts.answer?.finish(this.#textOf(outcome), 403, ['WWW-Authenticate', challenge])
  }

  async abort(error: GatewayError, entry: EntryRef | undefined): Promise<void> {
    this.#endHold()
    this.fault = error
    this.#feed.close()
    this.#abort.abort(error)
    const refused = error.cause
    this.#finish(refused instanceof RpcError ? { error: refused.body } : faulted(error, entry))
  }

  progress(): Partial<ActionResult> {
    if (this.#startedAt === 0) return {}
    return {
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      masked: this.#report(),
      upstreamDuration: Math.round((performance.now() - this.#startedAt) * 1e6),
    }
  }

  async #next(): Promise<FeedEvent> {
    try {
      return await this.#feed.next()
    } catch (error) {
      // A refusal in the protocol's own form is told as it is; the path sees whose fault it was.
      if (!(error instanceof RpcError)) throw error
      const code = error.code === codes.internal ? 'upstream-invalid' : 'invalid-request'
      throw new GatewayError(code, { detail: error.message, cause: error })
    }
  }

  async #sendNotification(event: Extract<FeedEvent, { kind: 'notification' }>): Promise<void> {
    try {
      this.#running ??= new RunningMask(this.#mask!)
      const params = await this.#running.params(event.message)
      const text = writeMessage({ ...event.message, params })
      await this.#frame('upstream', 'message', text)
      this.#bytesOut += Buffer.byteLength(text)
      await this.#parts.answer?.message(text)
    } finally {
      event.taken()
    }
  }

  async #sendRequest(event: Extract<FeedEvent, { kind: 'request' }>): Promise<void> {
    const { answer, askClient } = this.#parts
    if (answer === undefined) return event.refuse(new RpcError(codes.methodNotFound, 'nobody to ask'))
    try {
      const params = await this.#mask!.fields(event.message.params)
      await this.#frame('upstream', 'message', writeJson({ method: event.message.method, params }))
      // The stream goes on meanwhile: the client answers in a request of its own.
      askClient({ ...event.message, params }, answer).then(
        result => {
          void this.#frame(
            'client',
            'message',
            writeJson({ result: this.#upMask?.json(result) ?? this.#mask!.json(result) }),
          )
          event.answer(result)
        },
        (error: unknown) => event.refuse(error instanceof Error ? error : new Error('refused')),
      )
    } catch (error) {
      event.refuse(new RpcError(codes.internal, 'the request could not be masked'))
      throw error
    }
  }

  async #sendOutcome(raw: Outcome, seal: Seal): Promise<void> {
    const inspected = this.#parts.inspect(await this.#maskedOutcome(raw))
    const outcome = inspected.outcome
    this.#flags = inspected.flags
    this.#isError = 'error' in outcome || hasFailed(finalOf(outcome.result) ?? outcome.result)
    const text = this.#textOf(outcome)
    await this.#frame('upstream', 'message', text)
    this.#bytesOut += Buffer.byteLength(text)
    await seal({
      success: !this.#isError,
      facts: this.#facts(outcome),
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      masked: this.#report(),
      upstreamDuration: Math.round((performance.now() - this.#startedAt) * 1e6),
    })
    this.#finish(outcome, text)
  }

  async #maskedOutcome(outcome: Outcome): Promise<Outcome> {
    if ('result' in outcome) {
      const masked = await this.#mask!.fields(outcome.result)
      const { structuredContent: before } = finalOf(outcome.result) ?? outcome.result
      const final = finalOf(masked) ?? masked
      const kept = stillFits(this.#parts.outputSchema, before, final['structuredContent'])
      return { result: kept ? masked : withFinal(masked, withoutStructure(final)) }
    }
    const { code, message, data } = outcome.error
    const masked = { code, message: this.#mask!.text(message) }
    return { error: data === undefined ? masked : { ...masked, data: this.#mask!.json(data) } }
  }

  #facts(outcome: Outcome): Fields {
    const failed = 'error' in outcome
    return {
      mcp: {
        is_error: this.#isError,
        ...(this.#flags.length === 0 ? {} : { flags: this.#flags }),
        ...(failed ? { error: { code: outcome.error.code } } : resultFacts(outcome.result)),
      },
      // The name of OpenTelemetry's conventions for the same.
      ...(failed ? { rpc: { response: { status_code: String(outcome.error.code) } } } : {}),
    }
  }

  #finish(outcome: Outcome, text = this.#textOf(outcome)): void {
    this.outcome = outcome
    this.#parts.answer?.finish(text, statusOf(outcome))
  }

  #textOf(outcome: Outcome): string {
    return writeMessage({ kind: 'response', id: this.#parts.asked.id, ...outcome })
  }

  /** What goes up, masked where a rule says so. */
  #masked(fields: Fields): Fields {
    const masker = this.#upMask
    if (masker === undefined || masker.idle) return fields
    const { _meta, requestState, ...rest } = fields
    const masked = fieldsOf(masker.json(rest))
    this.#maskedUp = mergeReports(this.#maskedUp, masker.takeReport())
    return {
      ...masked,
      ...(_meta === undefined ? {} : { _meta }),
      ...(requestState === undefined ? {} : { requestState }),
    }
  }

  #frame(from: Frame['from'], part: Frame['part'], text: string): void | Promise<void> {
    return this.#recorder?.write({ from, part, bytes: Buffer.from(text) })
  }

  #report(): MaskReport {
    this.#maskedUp = mergeReports(this.#maskedUp, this.#mask?.report() ?? nothingMasked)
    return this.#maskedUp
  }

  #endHold(): void {
    this.#release?.()
    this.#release = undefined
  }
}

/**
 * A client checks the structured form against the tool's schema, which a mask in the place of a number breaks; only an
 * error may do without that form.
 */
function withoutStructure(masked: Fields): Fields {
  const { structuredContent: _, content, ...rest } = masked
  const text =
    'The call was executed. Its structured result is withheld by the gateway: what is masked in it does not fit ' +
    'the schema of the tool. What follows is its text.'
  const blocks = Array.isArray(content) ? (content as unknown[]) : []
  return { ...rest, content: [{ type: 'text', text }, ...blocks], isError: true }
}

/** What 2026-07-28 wants said in HTTP too; where the answer streams already, its status has gone. */
function statusOf(outcome: Outcome): number {
  const code = 'error' in outcome ? outcome.error.code : 0
  return code === codes.missingCapability || code === codes.headerMismatch ? 400 : 200
}

/** Of a tool, or of a task that ended for the protocol's own reasons. */
function hasFailed({ isError, taskId, status }: Fields): boolean {
  return isError === true || (typeof taskId === 'string' && status === 'failed')
}

/** How many blocks of which kinds a result has: enough to see what it was, without what it says. */
function resultFacts(result: Fields): Fields {
  const { resultType, taskId, status } = result
  const { content } = finalOf(result) ?? result
  const kinds = Array.isArray(content)
    ? content.slice(0, 100).map(each => String(fieldsOf(each)['type']))
    : []
  return {
    ...(typeof resultType === 'string' && resultType !== 'complete'
      ? { result_type: resultType.slice(0, 32) }
      : {}),
    ...(typeof taskId === 'string'
      ? { task: { id: taskId.slice(0, 64), status: String(status).slice(0, 32) } }
      : {}),
    ...(kinds.length === 0 ? {} : { content: [...new Set(kinds)].map(each => each.slice(0, 32)) }),
  }
}

/** Its parts are masked one by one as they come. */
class McpReply implements Reply, MaskedReply {
  readonly #take: (masker: Masker) => void

  constructor(take: (masker: Masker) => void) {
    this.#take = take
  }

  mask(masker: Masker): MaskedReply {
    this.#take(masker)
    return this
  }

  /** The exchange mirrors each message as it passes. */
  record(): void {}
}
