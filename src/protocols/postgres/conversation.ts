/**
 * One client's session: its messages one after another, each statement by way of the path, until it leaves. Answers
 * keep their order because nothing is read from the client while something is being answered.
 */
import { GatewayError } from '../../errors.ts'
import { FrameError, type Message } from './codec.ts'
import type { Host } from './host.ts'
import { judge } from './judge.ts'
import { errorResponse, query, readyForQuery, type Report } from './messages.ts'
import { Pipeline } from './pipeline.ts'
import { sqlStates } from './refusal.ts'
import { failTransaction, performAll } from './perform-all.ts'
import { unitsOf, unjudgedUnit } from './unit.ts'
import { eitherReadable } from './wire.ts'

export class Conversation {
  readonly #host: Host
  readonly #pipeline: Pipeline

  constructor(host: Host) {
    this.#host = host
    this.#pipeline = new Pipeline(host)
  }

  /** Resolves when the client has said goodbye or has gone. Throws GatewayError and FrameError. */
  async run(): Promise<void> {
    for (;;) {
      const each = await this.#next()
      if (each === undefined || each.type === 'X') return
      await this.#take(each)
    }
  }

  async #take(each: Message): Promise<void> {
    const host = this.#host
    if (this.#pipeline.takes(each.type) && (await this.#pipeline.take(each))) return
    switch (each.type) {
      case 'Q':
        return await this.#simple(each)
      case 'F':
        host.client.send(
          errorResponse({
            severity: 'ERROR',
            code: sqlStates.unsupported,
            message: 'function calls by message are not supported',
            hint: 'Call the function in a SELECT.',
          }),
        )
        return this.#refusedOutside()
      case 'd':
      case 'c':
      case 'f':
        // Left over from a COPY that the server has ended: it drops them too.
        return
      default:
        throw new FrameError(`a message of type ${each.type} out of turn`)
    }
  }

  /** The client's next message. What the server says meanwhile goes to the client. */
  async #next(): Promise<Message | undefined> {
    const { client, upstream } = this.#host
    for (;;) {
      for (let said = upstream.take(); said !== undefined; said = upstream.take()) {
        if (this.#host.passed(said)) continue
        if (said.type === 'E') client.send(said.bytes)
        else
          throw new GatewayError('upstream-invalid', { detail: `a message of type ${said.type} out of turn` })
      }
      const found = client.take()
      if (found !== undefined) return found
      if (client.ended) return undefined
      if (upstream.ended)
        throw new GatewayError('upstream-unreachable', { detail: 'the upstream ended the session' })
      const behind = upstream.flush() ?? client.flush()
      if (behind !== undefined) await behind
      else await eitherReadable(client, upstream)
    }
  }

  async #simple(each: Message): Promise<void> {
    const host = this.#host
    const text = each.bytes.subarray(5, each.bytes.length - 1)
    if (each.bytes.at(-1) !== 0) throw new FrameError('a string without an end')
    const judged = judge(text)
    const units =
      'problem' in judged
        ? [unjudgedUnit(text.toString('utf8'), judged)]
        : unitsOf(judged.statements, host.statements, host.settings.read_only)
    if (units.length === 0) {
      // Nothing but comments or blanks: there is nothing to act on, and nothing of it goes on.
      host.upstream.send(query(''))
      return await this.#finish()
    }
    const round = await performAll(host, units, {
      bytes: each.bytes,
      synced: true,
      mayHold: host.transaction === 'I',
      dirty: this.#pipeline.dirty,
      alone: host.transaction === 'I' && !this.#pipeline.dirty && units.length === 1,
      before: async () => undefined,
      columns: () => undefined,
    })
    if (round.problem !== undefined) return await this.#refused(round.problem)
    await this.#finish()
  }

  /** Passes on what is left until the server is ready again. */
  async #finish(): Promise<void> {
    const host = this.#host
    for (;;) {
      const each = await host.answer()
      host.client.send(each.bytes)
      if (each.type !== 'Z') continue
      host.ready(each)
      return
    }
  }

  /** A refusal as the server would give it: an error, after which an open transaction has failed. */
  async #refused(report: Report): Promise<void> {
    this.#host.client.send(errorResponse(report))
    await this.#refusedOutside()
  }

  async #refusedOutside(): Promise<void> {
    const host = this.#host
    if (host.transaction === 'T') await failTransaction(host)
    host.client.send(readyForQuery(host.transaction))
  }
}
