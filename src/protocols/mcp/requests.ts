/** Each request by its method: what it is taken for, who does it, and the path that performs it. */
import type { EntryRef } from '../../audit/audit.ts'
import { GatewayError } from '../../errors.ts'
import type { Denial } from '../../gateway/exchange.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import { subjectKey } from '../../model/subject.ts'
import { McpAction, type Meaning } from './action.ts'
import { approvalToolNames, callApprovalTool } from './approval-tools.ts'
import { type Caller, contactOf, keyOf, type Parts } from './caller.ts'
import type { Kind } from './catalogue.ts'
import { checkMirrored } from './envelope.ts'
import type { McpExchange } from './exchange.ts'
import type { Outcome } from './feed.ts'
import type { Holds } from './holds.ts'
import { discover, dressed, foreseen, initialize, isVisible, listFor } from './lists.ts'
import { itemMeaning, ownMeaning, resourceMeaning, unknownMeaning } from './meaning.ts'
import { ParkedCalls } from './parked.ts'
import { type Job, Performer } from './performer.ts'
import { isAmbiguous } from './resource-address.ts'
import { asRpcError, unknownTool } from './refusal.ts'
import { codes, type Fields, fieldsOf, isFields, RpcError, textOf } from './rpc.ts'
import type { CarriedState } from './sealed-state.ts'
import type { Server } from './server.ts'
import { listen } from './subscriptions.ts'
import { declaresTasks, taskIdsIn, tasksMissing } from './tasks/extension.ts'
import { Tasks } from './tasks/tasks.ts'
import { continued, deniedWhere, impliedPermit, quarantined, withDecision } from './view.ts'
import type { Offered } from './virtual-server.ts'
import { type Errand, mrtrMethods, run } from './work.ts'

const listed: ReadonlyMap<string, Kind> = new Map([
  ['tools/list', 'tools'],
  ['prompts/list', 'prompts'],
  ['resources/list', 'resources'],
  ['resources/templates/list', 'templates'],
])

/** RFC 5424 section 6.2.1, as server/utilities/logging names them. */
const logLevels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

/** Of the era before 2026-07-28 alone. */
const legacyOnly = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
])
const modernOnly = new Set([
  'server/discover',
  'subscriptions/listen',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
])

export class Requests {
  readonly #parts: Parts
  readonly #performer: Performer
  readonly #parked = new ParkedCalls()
  readonly #tasks: Tasks

  constructor(parts: Parts, holds: Holds) {
    this.#parts = parts
    this.#performer = new Performer(parts, holds)
    this.#tasks = new Tasks(parts, {
      performer: this.#performer,
      callTool: caller => this.#callTool(caller),
    })
  }

  /** Performs it to its end. Throws RpcError for what never becomes an action. */
  async take(caller: Caller): Promise<void> {
    const { asked } = caller
    const { method, client } = asked
    if (client.era === 'modern' ? legacyOnly.has(method) : modernOnly.has(method))
      throw unknownMethod(method, client.era)
    if (method === 'ping') return this.#performer.tell(caller, { result: {} })
    const kind = listed.get(method)
    if (kind !== undefined)
      return await this.#implied(caller, io => listFor(this.#parts, caller, { kind, io }))
    switch (method) {
      case 'initialize':
        return await this.#implied(caller, io => initialize(this.#parts, caller, io))
      case 'server/discover':
        return await this.#implied(caller, io => discover(this.#parts, caller, io))
      case 'subscriptions/listen':
        if (taskIdsIn(asked.params).length > 0 && !declaresTasks(client)) throw tasksMissing()
        return await this.#implied(caller, io => listen(this.#parts, caller, { io, tasks: this.#tasks }))
      case 'tools/call':
        return void (await this.#callTool(caller))
      case 'tasks/get':
      case 'tasks/update':
      case 'tasks/cancel':
        return await this.#tasks.take(caller)
      case 'prompts/get':
        return await this.#getPrompt(caller)
      case 'resources/read':
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        return await this.#useResource(caller)
      case 'completion/complete':
        return await this.#complete(caller)
      case 'logging/setLevel':
        return await this.#setLevel(caller)
      default:
        throw unknownMethod(method, client.era)
    }
  }

  /** The open stream of a 2025-era client. */
  async stream(caller: Caller): Promise<void> {
    await this.#implied(caller, io => listen(this.#parts, caller, { io, tasks: this.#tasks }))
  }

  /** Lets calls that nobody waits for end, at most `graceMs`. */
  async finish(graceMs: number): Promise<void> {
    await this.#tasks.close(graceMs)
  }

  close(): void {
    this.#parked.close()
  }

  /** What is open to everybody whom no rule keeps out: it shows and gives no more than they may use. */
  async #implied(caller: Caller, work: Job['work']): Promise<void> {
    const gateway = withDecision(this.#parts.gateway, impliedPermit)
    await this.#performer.perform(caller, { meaning: ownMeaning(caller.asked.method), work, gateway })
  }

  /** Resolves with the exchange; undefined for what is no action. */
  async #callTool(caller: Caller): Promise<McpExchange | undefined> {
    const parts = this.#parts
    const { asked } = caller
    const name = nameIn(asked.params, 'name')
    const args = asked.params['arguments']
    if (args !== undefined && !isFields(args)) throw malformed('arguments must be an object')
    if (approvalToolNames.has(name) && parts.gateway.deferrals !== undefined) {
      const signal = caller.answer?.left ?? new AbortController().signal
      caller.answer?.open()
      const outcome = await callApprovalTool(parts, caller, signal)
      this.#performer.tell(
        caller,
        'result' in outcome ? { result: dressed(caller, outcome.result, false) } : outcome,
      )
      return undefined
    }
    const found = await this.#find(caller, 'tools', name)
    if (found === undefined) return await this.#unknown(caller, 'tools', name)
    const visible = (): boolean => isVisible(parts, caller, { kind: 'tools', offered: found })
    const { mirrored = [] } = found.item
    if (mirrored.length > 0 && asked.client.era === 'modern' && visible())
      checkMirrored(mirrored, fieldsOf(args), caller.headers)
    const meaning = itemMeaning('tools', found)
    const { mask } = found.server.risk(found.item)
    const errand = this.#errand(caller, meaning, found.server)
    const accepted = parts.pins.accepts(found) && found.item.mirrored !== undefined
    const called = { meaning, mask, outputSchema: found.item.definition['outputSchema'] }
    const defers =
      caller.answer !== undefined &&
      asked.params['requestState'] === undefined &&
      this.#tasks.serves(caller) &&
      parts.gateway.deferrals !== undefined
    return await this.#performer.perform(caller, {
      ...called,
      action: errand.action,
      ...(errand.state.round === undefined ? {} : { round: errand.state.round }),
      gateway: this.#gatewayFor(errand, accepted),
      ...(defers
        ? {
            deferred: (denial: Denial, entry: EntryRef) =>
              this.#tasks.hold(caller, called, { denial, entry }),
          }
        : {}),
      work: async io => {
        const outcome = await run(parts, caller, {
          ...errand,
          io,
          params: given => ({ ...given, name: found.item.key }),
        })
        return await this.#tasks.adopt(caller, called, { outcome, server: found.server, io })
      },
      hidden: entry => (visible() ? undefined : this.#asUnknown(caller, { kind: 'tools', name, entry })),
    })
  }

  async #getPrompt(caller: Caller): Promise<void> {
    const name = nameIn(caller.asked.params, 'name')
    const found = await this.#find(caller, 'prompts', name)
    if (found === undefined) return void (await this.#unknown(caller, 'prompts', name))
    const meaning = itemMeaning('prompts', found)
    const errand = this.#errand(caller, meaning, found.server)
    await this.#performer.perform(caller, {
      meaning,
      action: errand.action,
      gateway: this.#gatewayFor(errand, true),
      ...(errand.state.round === undefined ? {} : { round: errand.state.round }),
      work: io =>
        run(this.#parts, caller, { ...errand, io, params: given => ({ ...given, name: found.item.key }) }),
    })
  }

  async #useResource(caller: Caller): Promise<void> {
    const { asked, client } = caller
    const uri = nameIn(asked.params, 'uri')
    if (isAmbiguous(uri))
      throw malformed(
        'uri is not in its plain form (dot segments, needless escapes, another spelling of its host)',
      )
    const found = await this.#findResource(caller, uri)
    if (found === undefined)
      throw new RpcError(notFoundCode(asked.client.era), 'Resource not found', { data: { uri } })
    const meaning = resourceMeaning(asked.method, { uri, ...found })
    const errand = this.#errand(caller, meaning, found.server)
    await this.#performer.perform(caller, {
      meaning,
      action: errand.action,
      gateway: this.#gatewayFor(errand, true),
      ...(errand.state.round === undefined ? {} : { round: errand.state.round }),
      work: async io => {
        if (asked.method === 'resources/read')
          return await run(this.#parts, caller, { ...errand, io, cacheable: true })
        const link = await found.server.link(contactOf(this.#parts, caller, io))
        // A server of 2026 hears of subscriptions in the stream that the client holds open.
        if (link.era === 'legacy') return await run(this.#parts, caller, { ...errand, io })
        if (asked.method === 'resources/subscribe') client?.subscribed.add(uri)
        else client?.subscribed.delete(uri)
        client?.onSubscribed()
        return { result: {} }
      },
    })
  }

  async #complete(caller: Caller): Promise<void> {
    const ref = fieldsOf(caller.asked.params['ref'])
    const name = textOf(ref['name'])
    const uri = textOf(ref['uri'])
    const prompt = name === undefined ? undefined : await this.#find(caller, 'prompts', name)
    // An expression of a template may stand for a host.
    if (uri !== undefined && isAmbiguous(uri.replaceAll(/\{[^{}]*\}/g, 'x')))
      throw malformed('ref is not in its plain form')
    const byUri = uri === undefined ? undefined : await this.#findResource(caller, uri)
    const used =
      prompt !== undefined
        ? itemMeaning('prompts', prompt)
        : byUri !== undefined && uri !== undefined
          ? resourceMeaning('resources/read', { uri, ...byUri })
          : undefined
    const server = prompt?.server ?? byUri?.server
    if (server === undefined || used === undefined) throw malformed('ref names nothing that is here')
    const meaning: Meaning = { ...ownMeaning('completion/complete'), server: server.name }
    const rename = (given: Fields): Fields =>
      prompt === undefined ? given : { ...given, ref: { ...ref, name: prompt.item.key } }
    const errand = this.#errand(caller, meaning, server)
    await this.#performer.perform(caller, {
      meaning,
      // How its arguments may go on tells of what it holds.
      gateway: withDecision(this.#parts.gateway, deniedWhere(foreseen(this.#parts, caller, used))),
      work: io => run(this.#parts, caller, { ...errand, io, params: rename }),
    })
  }

  async #setLevel(caller: Caller): Promise<void> {
    const level = nameIn(caller.asked.params, 'level')
    if (!logLevels.includes(level)) throw malformed('there is no such level')
    await this.#implied(caller, async io => {
      const links = await this.#parts.virtual.links(contactOf(this.#parts, caller, io))
      for (const { server, link } of links) {
        if (link.era === 'modern' || link.facts.capabilities['logging'] === undefined) continue
        const errand = this.#errand(caller, ownMeaning('logging/setLevel'), server)
        const outcome = await run(this.#parts, caller, { ...errand, io })
        if ('error' in outcome) return outcome
      }
      if (caller.client !== undefined) caller.client.logLevel = level
      return { result: {} }
    })
  }

  /** An unknown name is judged like one that is there, and the entry says that it was asked for. */
  async #unknown(caller: Caller, kind: 'tools' | 'prompts', name: string): Promise<McpExchange> {
    const failing = this.#parts.virtual.failing(name)
    if (failing !== undefined) return await this.#unreachable(caller, unknownMeaning(kind, failing, name))
    const meaning = unknownMeaning(kind, this.#parts.virtual.guess(name), name)
    return await this.#performer.perform(caller, { meaning, work: async () => notThere(kind, name) })
  }

  /** Nobody can tell whether it is there. Judged as if it were, so that who may use it hears why it can't be had. */
  async #unreachable(caller: Caller, meaning: Meaning): Promise<McpExchange> {
    const { server = '' } = meaning
    const detail = `the server ${server} can not be used (${this.#parts.virtual.troubleOf(server)})`
    const work = (): Promise<never> => Promise.reject(new GatewayError('upstream-unreachable', { detail }))
    return await this.#performer.perform(caller, { meaning: { ...meaning, known: true }, work })
  }

  /** What the same name would get if nothing answered to it. */
  #asUnknown(
    caller: Caller,
    of: { readonly kind: 'tools' | 'prompts'; readonly name: string; readonly entry: EntryRef },
  ): Outcome {
    const { kind, name, entry } = of
    const decision = foreseen(
      this.#parts,
      caller,
      unknownMeaning(kind, this.#parts.virtual.guess(name), name),
    )
    if (decision.effect !== 'deny') return notThere(kind, name)
    const { reason, rule, message } = decision
    const denial: Denial = {
      reason,
      ...(rule === undefined ? {} : { rule }),
      ...(message === undefined ? {} : { message }),
    }
    return this.#performer.refusal(caller, { denial, entry, round: undefined })
  }

  async #find(caller: Caller, kind: 'tools' | 'prompts', name: string): Promise<Offered | undefined> {
    const { virtual, settings } = this.#parts
    const at = { key: keyOf(caller), maxAgeMs: settings.catalogue_ttl }
    const found = virtual.find(kind, name, at)
    if (found !== 'unread') return found
    await this.#readLists(caller, [kind])
    const again = virtual.find(kind, name, { ...at, maxAgeMs: Infinity, partial: true })
    return again === 'unread' ? undefined : again
  }

  async #findResource(caller: Caller, uri: string): Promise<{ server: Server; known: boolean } | undefined> {
    const { virtual, settings } = this.#parts
    const at = { key: keyOf(caller), maxAgeMs: settings.catalogue_ttl }
    const found = virtual.findResource(uri, at)
    if (found !== 'unread') return found
    await this.#readLists(caller, ['resources', 'templates'])
    const again = virtual.findResource(uri, { ...at, maxAgeMs: Infinity, partial: true })
    return again === 'unread' ? undefined : again
  }

  /** Reads lists that a call needs, as an action of its own. Throws what prevented it. */
  async #readLists(caller: Caller, kinds: readonly Kind[]): Promise<void> {
    const method = kinds.includes('tools')
      ? 'tools/list'
      : kinds.includes('prompts')
        ? 'prompts/list'
        : 'resources/list'
    const own: Caller = { ...caller, answer: undefined, asked: { ...caller.asked, method, params: {} } }
    const exchange = await this.#performer.perform(own, {
      gateway: withDecision(this.#parts.gateway, impliedPermit),
      meaning: ownMeaning(method),
      work: async io => {
        for (const kind of kinds) {
          const offered = await this.#parts.virtual.list(kind, contactOf(this.#parts, own, io))
          await this.#parts.pins.see(kind, offered)
        }
        return { result: {} }
      },
    })
    if (exchange.fault !== undefined) throw asRpcError(exchange.fault)
  }

  #errand(caller: Caller, meaning: Meaning, server: Server): Errand & { readonly action: McpAction } {
    const { states } = this.#parts
    const { asked } = caller
    const action = new McpAction(asked, meaning)
    const binding = () => ({ principal: subjectKey(caller.session.subject), digest: action.digest() })
    const { requestState } = asked.params
    const carried = textOf(requestState)
    if (asked.client.era === 'modern' && requestState !== undefined && carried === undefined)
      throw malformed('requestState must be a string')
    const state =
      carried === undefined || !mrtrMethods.has(asked.method) ? {} : states.open(carried, binding())
    return {
      server,
      action,
      state,
      asks: () => foreseen(this.#parts, caller, meaning).effect === 'ask',
      seal: next => states.seal({ ...next, cleared: states.clear() }, binding()),
      params: given => given,
      parked: this.#parked,
      cacheable: false,
    }
  }

  /** A call that goes on where a person has let it begin is not asked about again, once. */
  #gatewayFor({ state }: Errand, accepted: boolean): Gateway {
    const { gateway, states } = this.#parts
    if (!accepted) return withDecision(gateway, quarantined)
    const goesOn = isContinuation(state) && state.cleared !== undefined && states.redeem(state.cleared)
    return goesOn ? withDecision(gateway, continued) : gateway
  }
}

function isContinuation(state: CarriedState): boolean {
  return state.round === undefined
}

function notThere(kind: 'tools' | 'prompts', name: string): Outcome {
  return kind === 'tools'
    ? unknownTool(name)
    : { error: { code: codes.invalidParams, message: `Unknown prompt: ${name.slice(0, 256)}` } }
}

/** -32002 is of 2025; in 2026 it must not be sent. */
function notFoundCode(era: 'modern' | 'legacy'): number {
  return era === 'modern' ? codes.invalidParams : -32002
}

function nameIn(params: Fields, member: string): string {
  const value = textOf(params[member])
  if (value === undefined || value === '' || value.length > 4096)
    throw malformed(`${member} is missing or not valid`)
  return value
}

function malformed(why: string): RpcError {
  return new RpcError(codes.invalidParams, `Invalid params: ${why}`)
}

function unknownMethod(method: string, era: 'modern' | 'legacy'): RpcError {
  return new RpcError(codes.methodNotFound, `Method not found: ${method.slice(0, 64)}`, {
    status: era === 'modern' ? 404 : 200,
  })
}
