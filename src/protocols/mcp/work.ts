/** Carries a request to its server and brings the answer back in the client's era. */
import type { Caller, Parts } from './caller.ts'
import { checkAsk, clientFor, clientRequests, contactOf, passedHeaders } from './caller.ts'
import type { Io } from './exchange.ts'
import type { Outcome } from './feed.ts'
import type { Link, LinkCall } from './link.ts'
import { dressed } from './lists.ts'
import { ParkedCall, type ParkedCalls } from './parked.ts'
import { codes, type Fields, fieldsOf, isFields, RpcError, type RpcResponse, textOf } from './rpc.ts'
import type { CarriedState } from './sealed-state.ts'
import type { Server } from './server.ts'

/** Rounds in which a server may ask a 2025-era client for more. */
const mostRounds = 10

export interface Errand {
  readonly server: Server
  /** With the server's own names. */
  readonly params: (given: Fields) => Fields
  /** What the client carried for us, opened. */
  readonly state: CarriedState
  /** Seals what it shall carry. */
  readonly seal: (state: CarriedState) => string
  readonly parked: ParkedCalls
  /** A person had to approve this: what continues it must say so. */
  readonly asks: () => boolean
  /** `resources/read` may be cached by its client. */
  readonly cacheable: boolean
  /** Called with an answer's own form before it is dressed. */
  readonly adapt?: (result: Fields) => Fields
}

export async function run(
  parts: Parts,
  caller: Caller,
  errand: Errand & { readonly io: Io },
): Promise<Outcome> {
  const { io, server, state } = errand
  const contact = contactOf(parts, caller, io)
  if (state.parked !== undefined) {
    const call = errand.parked.take(state.parked)
    call.answer(fieldsOf(io.params['inputResponses']))
    return await attend(call, caller, errand)
  }
  const settle = (response: RpcResponse): Outcome => settled(parts, caller, { response, errand })
  const link = await server.link(contact)
  // To ask for a task is of 2025-11-25, which this gateway does not say that it has: then the word means nothing.
  const { inputResponses, requestState: _, task: __, ...given } = errand.params(io.params)
  const params: Fields = {
    ...given,
    ...(inputResponses === undefined ? {} : { inputResponses }),
    ...(state.upstream === undefined ? {} : { requestState: state.upstream }),
  }
  const call: LinkCall = {
    ...contact,
    method: caller.asked.method,
    params,
    headers: passedHeaders(caller.headers),
  }
  if (caller.asked.client.era === 'legacy') return settle(await askingClient(parts, caller, { link, call }))
  if (link.era === 'modern') return settle(await link.call(call))
  const parked = new ParkedCall()
  parked.begin(
    link
      .call({
        ...call,
        signal: parked.signal,
        onNotification: each => parked.onNotification(each),
        async onRequest(request) {
          if (request.method === 'ping') return {}
          checkAsk(parts, caller, request)
          return await parked.ask(request)
        },
      })
      .then(settle),
  )
  return await attend(parked, caller, errand)
}

async function attend(
  call: ParkedCall,
  { asked }: Caller,
  errand: Errand & { readonly io: Io },
): Promise<Outcome> {
  const { io } = errand
  const outcome = await call.attend({ signal: io.signal, notify: each => io.notify(each) })
  if (outcome !== 'asks') return outcome
  if (!mrtrMethods.has(asked.method)) {
    call.cancel()
    throw new RpcError(codes.internal, 'The server asks for what can not be given here')
  }
  const { questions } = call
  errand.parked.park(call)
  return {
    result: {
      resultType: 'input_required',
      inputRequests: questions,
      requestState: errand.seal({ parked: call.id }),
    },
  }
}

export const mrtrMethods: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read'])

/** A server of 2026 answers that it needs more; a client of 2025 is asked for it on its open stream. */
async function askingClient(
  parts: Parts,
  caller: Caller,
  { link, call }: { readonly link: Link; readonly call: LinkCall },
): Promise<RpcResponse> {
  const level = caller.client?.logLevel
  const meta = fieldsOf(call.params['_meta'])
  const leveled: LinkCall =
    level === undefined || link.era === 'legacy'
      ? call
      : { ...call, params: { ...call.params, _meta: { ...meta, 'io.modelcontextprotocol/logLevel': level } } }
  let next = leveled
  for (let round = 0; round <= mostRounds; round++) {
    const response = await link.call(next)
    const { result } = response
    if (result?.['resultType'] !== 'input_required') return response
    const inputResponses: Record<string, Fields> = {}
    for (const [key, each] of Object.entries(fieldsOf(result['inputRequests']))) {
      const request = {
        method: textOf(fieldsOf(each)['method']) ?? '',
        params: fieldsOf(fieldsOf(each)['params']),
      }
      checkAsk(parts, caller, request)
      inputResponses[key] = await call.onRequest(request)
    }
    const state = textOf(result['requestState'])
    next = {
      ...leveled,
      params: { ...leveled.params, inputResponses, ...(state === undefined ? {} : { requestState: state }) },
    }
  }
  throw new RpcError(codes.internal, 'The server asked too often')
}

function settled(
  parts: Parts,
  caller: Caller,
  of: { readonly response: RpcResponse; readonly errand: Errand },
): Outcome {
  const { errand } = of
  const { result, error } = of.response
  if (error !== undefined || result === undefined)
    return { error: error ?? { code: codes.internal, message: 'no result' } }
  if (result['resultType'] === 'input_required') {
    checkRequests(parts, caller, result)
    return { result: asking(result, errand) }
  }
  const adapted = errand.adapt?.(result) ?? result
  return { result: dressed(caller, adapted, errand.cacheable) }
}

/** A server's question goes on as it is, but its state is bound to who was asked. */
function asking(result: Fields, { asks, seal }: Errand): Fields {
  const upstream = textOf(result['requestState'])
  const { requestState: _, ...rest } = result
  if (upstream === undefined && !asks()) return rest
  return { ...rest, requestState: seal(upstream === undefined ? {} : { upstream }) }
}

/** Throws RpcError for a question that the client has not declared it can take, or policy does not let it be asked. */
export function checkRequests(parts: Parts, caller: Caller, result: Fields): void {
  const requests = Object.values(fieldsOf(result['inputRequests']))
  if (requests.length === 0) return
  const { capabilities } = clientFor(parts, caller)
  for (const each of requests) {
    const capability = clientRequests[textOf(fieldsOf(each)['method']) ?? '']?.capability
    if (capability === undefined || !isFields(capabilities[capability]))
      throw new RpcError(
        codes.missingCapability,
        'The server asks for what the client can or may not be asked',
        {
          data: { requiredCapabilities: capability === undefined ? {} : { [capability]: {} } },
        },
      )
  }
}
