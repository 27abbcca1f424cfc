/** JSON-RPC 2.0 as MCP uses it: the shapes of messages and the errors that have a code of their own. */

export type RequestId = string | number

export type Fields = Readonly<Record<string, unknown>>

export interface RpcRequest {
  readonly kind: 'request'
  readonly id: RequestId
  readonly method: string
  readonly params: Fields
}

export interface RpcNotification {
  readonly kind: 'notification'
  readonly method: string
  readonly params: Fields
}

export interface RpcResponse {
  readonly kind: 'response'
  readonly id: RequestId | null
  readonly result?: Fields
  readonly error?: RpcErrorBody
}

export interface RpcErrorBody {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

export type RpcMessage = RpcRequest | RpcNotification | RpcResponse

/** JSON-RPC 2.0 section 5.1 and MCP basic/index, "Error Codes". Our own lie outside -32768 to -32000. */
export const codes = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
  denied: -31001,
  approvalPending: -31002,
  rateLimited: -31003,
  unavailable: -31004,
} as const

/** A refusal in JSON-RPC's form, on its way to the client. `status` is that of the HTTP answer. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: number
  readonly data: unknown
  readonly status: number

  constructor(
    code: number,
    message: string,
    options: { readonly data?: unknown; readonly status?: number } = {},
  ) {
    super(message)
    this.code = code
    this.data = options.data
    this.status = options.status ?? 200
  }

  get body(): RpcErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.data === undefined ? {} : { data: this.data }),
    }
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {}
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
