/** One conversation with a server, whatever its transport and era. */
import type { Errand } from '../../identity/delegates.ts'
import type { ClientProfile } from './envelope.ts'
import type { Fields, RpcNotification, RpcRequest, RpcResponse } from './rpc.ts'
import type { Era } from './versions.ts'

/** What a server says of itself. */
export interface ServerFacts {
  readonly capabilities: Fields
  readonly info: Fields | undefined
  readonly instructions: string | undefined
  readonly version: string
}

/** With what a request goes to a server, and who hears what comes before its answer. */
export interface LinkCall {
  readonly method: string
  readonly params: Fields
  /** Flat; passed to servers that are reached by HTTP. */
  readonly headers: readonly string[]
  readonly client: ClientProfile
  readonly secrets: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** The action that this is part of. */
  readonly errand: Errand
  /** Called right before the first byte may leave. */
  starting(): void
  /** A promise where the next should wait. */
  onNotification(notification: RpcNotification): void | Promise<void>
  /** A server of the 2025 era asks the client for something. Throws RpcError for what it can't have. */
  onRequest(request: Pick<RpcRequest, 'method' | 'params'>): Promise<Fields>
  /** The server answers with a stream; `letGo`: it has broken that off and answers when it is asked again. */
  onStream?(letGo: boolean): void
}

/** The cause of the fault where a server took the gateway's credential for no good. */
export const credentialRefused = Symbol('credential refused')

/** The cause where it wants scopes that what was sent along lacks. */
export class ScopesLacking {
  readonly scopes: readonly string[]
  /** Of the credentials that were sent. */
  readonly names: readonly string[]

  constructor(scopes: readonly string[], names: readonly string[]) {
    this.scopes = scopes
    this.names = names
  }
}

export interface Link {
  readonly era: Era
  readonly facts: ServerFacts
  /** Ends where it is no longer good; the next call makes another. */
  readonly ended: boolean
  /**
   * Sends a request and resolves with its answer, an error of the server's own included. Throws GatewayError where
   * there is none: `upstream-unreachable`, `upstream-timeout`, `upstream-invalid`, or what `signal` was aborted with.
   */
  call(call: LinkCall): Promise<RpcResponse>
  /** Sends a notification. */
  notify(call: Pick<LinkCall, 'method' | 'params' | 'client' | 'secrets' | 'signal'>): Promise<void>
  /** Holds open what the server says unasked, until `signal` fires or the server ends it. */
  listen(call: LinkCall): Promise<void>
  close(): Promise<void>
}
