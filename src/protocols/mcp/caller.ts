/** Who asks, and with what: what the parts of a connection need to know of one request. */
import type { Gateway } from '../../gateway/gateway.ts'
import type { Session } from '../../gateway/session.ts'
import type { Connection } from '../../model/connection.ts'
import { subjectKey } from '../../model/subject.ts'
import type { Asked, Meaning } from './action.ts'
import { McpAction } from './action.ts'
import type { ClientSession } from './client-sessions.ts'
import type { Answer } from './downstream.ts'
import type { ClientProfile, HeaderValues } from './envelope.ts'
import type { Io } from './exchange.ts'
import type { ConnectionPins } from './connection-pins.ts'
import type { SealedStates } from './sealed-state.ts'
import { codes, type Fields, fieldsOf, RpcError, type RpcRequest } from './rpc.ts'
import type { Contact } from './server.ts'
import type { McpSettings } from './settings.ts'
import { declaresTasks, isOfTasks, tasksExtension } from './tasks/extension.ts'
import { passedExtensions } from './versions.ts'
import type { VirtualServer } from './virtual-server.ts'

/** What a connection is made of. */
export interface Parts {
  readonly gateway: Gateway
  readonly connection: Connection
  readonly settings: McpSettings
  readonly virtual: VirtualServer
  readonly states: SealedStates
  readonly pins: ConnectionPins
}

/** One request on its way. */
export interface Caller {
  readonly session: Session
  readonly asked: Asked
  readonly headers: HeaderValues
  /** Absent for what the gateway asks by itself. */
  readonly answer: Answer | undefined
  /** Fires when nobody wants it any more; default: when the client of `answer` leaves. */
  readonly left?: AbortSignal
  readonly client: ClientSession | undefined
}

/** Whose conversation with a server it is. */
export function keyOf({ client, session }: Pick<Caller, 'client' | 'session'>): string {
  return client?.id ?? `p ${subjectKey(session.subject)}`
}

/** What a server may ask of a client, and the capability that a client has for it. */
export const clientRequests: Readonly<
  Record<string, { readonly capability: string; readonly risk: 'read' | 'write' }>
> = {
  'sampling/createMessage': { capability: 'sampling', risk: 'write' },
  'elicitation/create': { capability: 'elicitation', risk: 'write' },
  'roots/list': { capability: 'roots', risk: 'read' },
}

/** A method is the word of a server: a name that every object has is none. */
function clientRequest(method: string): (typeof clientRequests)[string] | undefined {
  return Object.hasOwn(clientRequests, method) ? clientRequests[method] : undefined
}

/** Whether policy lets a server ask this of the client. What needs a person's consent first is not asked. */
export function mayAsk({ gateway, connection }: Parts, { session, asked }: Caller, method: string): boolean {
  const known = clientRequest(method)
  if (known === undefined) return method === 'ping'
  const meaning: Meaning = { operation: method, known: true, risk: known.risk, resource: method }
  const action = new McpAction({ id: asked.id, method, params: {}, client: asked.client }, meaning)
  return gateway.policy.foresee(session.subject, connection, action).effect === 'permit'
}

/** The client as servers see it: with no more than it has declared and policy lets it be asked. */
export function clientFor(parts: Parts, caller: Caller): ClientProfile {
  const { capabilities, ...rest } = caller.asked.client
  const kept = passedExtensions(capabilities)
  // Who can follow no task is sent none.
  if (parts.gateway.keeping !== undefined && declaresTasks(caller.asked.client))
    kept['extensions'] = { ...fieldsOf(kept['extensions']), [tasksExtension]: {} }
  for (const [method, { capability }] of Object.entries(clientRequests))
    if (capability in kept && !mayAsk(parts, caller, method)) delete kept[capability]
  return { ...rest, capabilities: kept }
}

/** Throws RpcError where the client can't do it, or policy does not let it be asked. */
export function checkAsk(parts: Parts, caller: Caller, { method }: Pick<RpcRequest, 'method'>): void {
  const capability = clientRequest(method)?.capability
  const declared = capability !== undefined && caller.asked.client.capabilities[capability] !== undefined
  if (declared && mayAsk(parts, caller, method)) return
  throw new RpcError(codes.methodNotFound, `The client can not be asked for ${method.slice(0, 64)}`)
}

/** How this caller's work speaks with servers. */
export function contactOf(parts: Parts, caller: Caller, io: Io): Contact {
  const key = keyOf(caller)
  return {
    key,
    principal: subjectKey(caller.session.subject),
    client: clientFor(parts, caller),
    secrets: io.secrets,
    signal: io.signal,
    errand: {
      subject: caller.session.subject,
      action: io.action.id,
      operation: io.action.operation,
      trace: io.action.trace,
    },
    starting: io.starting,
    onNotification: notification => {
      // Of tasks only who follows one hears, and of no other.
      if (isOfTasks(notification.method)) return
      noteChange(parts, key, notification.method)
      return io.notify(notification)
    },
    async onRequest(request): Promise<Fields> {
      if (request.method === 'ping') return {}
      checkAsk(parts, caller, request)
      return await io.ask(request)
    },
    onStream: letGo => io.stream(letGo),
  }
}

/** A list that has changed is read anew at its next use. */
export function noteChange({ virtual }: Parts, key: string, method: string): void {
  const kind = /^notifications\/(tools|prompts|resources)\/list_changed$/.exec(method)?.[1] as
    | 'tools'
    | 'prompts'
    | 'resources'
    | undefined
  if (kind === undefined) return
  for (const server of virtual.servers) {
    server.changed(key, kind)
    if (kind === 'resources') server.changed(key, 'templates')
  }
}

/** Headers of the client's that go on: mirrored arguments, and what vendors add to its trace. */
export function passedHeaders(headers: HeaderValues): string[] {
  return [...headers].flatMap(([name, value]) =>
    name.startsWith('mcp-param-') || name === 'tracestate' ? [name, value] : [],
  )
}

export function metaOf(params: Fields): Fields {
  return fieldsOf(params['_meta'])
}
