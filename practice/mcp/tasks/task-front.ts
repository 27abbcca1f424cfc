/**
 * Serves what the SDK does not: the calls of task tools and the methods `tasks/*`, of the era that has the extension.
 * Everything else is passed on.
 */
import { CLIENT_CAPABILITIES_META_KEY } from '@modelcontextprotocol/server'
import { taskTools } from './task-tools.ts'
import { Tasks, tasksExtension } from './tasks.ts'

export interface FrontAnswer {
  readonly status: number
  readonly body: object
}

/** A request of the 2026 era, parsed, with the headers that mirror it. */
export interface FrontRequest {
  readonly id: string | number
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
  readonly header: (name: string) => string | undefined
}

const methods = new Set(['tasks/get', 'tasks/update', 'tasks/cancel'])

export class TaskFront {
  readonly #tasks = new Tasks()

  /** Undefined: not ours. */
  answer(request: FrontRequest): FrontAnswer | undefined {
    const { method, params } = request
    const name = params['name']
    const tool = method === 'tools/call' && typeof name === 'string' ? taskTools[name] : undefined
    if (tool === undefined && !methods.has(method)) return undefined
    const expected = tool === undefined ? params['taskId'] : name
    if (request.header('mcp-method') !== method || request.header('mcp-name') !== expected)
      return fault(request, 400, { code: -32020, message: 'the headers do not say what the body says' })
    if (!declares(params)) {
      if (tool !== undefined && !tool.required) return undefined
      const data = { requiredCapabilities: { extensions: { [tasksExtension]: {} } } }
      return fault(request, 400, { code: -32021, message: 'this needs the tasks extension', data })
    }
    return tool === undefined ? this.#manage(request) : this.#call(request, tool)
  }

  close(): void {
    this.#tasks.close()
  }

  #call(request: FrontRequest, tool: (typeof taskTools)[string]): FrontAnswer {
    const { params } = request
    const args = tool.input.safeParse(params['arguments'] ?? {})
    if (!args.success) return fault(request, 200, { code: -32602, message: args.error.message })
    const { first } = tool
    const answers = (params['inputResponses'] ?? {}) as Readonly<Record<string, unknown>>
    if (first !== undefined && answers[first.key] === undefined)
      return result(request, { resultType: 'input_required', inputRequests: { [first.key]: first.question } })
    const input = first === undefined ? args.data : { ...args.data, [first.key]: answers[first.key] }
    return result(
      request,
      this.#tasks.start(run => tool.run(input, run)),
    )
  }

  #manage(request: FrontRequest): FrontAnswer {
    const task = this.#tasks.find(request.params['taskId'])
    if (task === undefined) return fault(request, 200, { code: -32602, message: 'no such task' })
    if (request.method === 'tasks/get') return result(request, task.detail())
    if (request.method === 'tasks/cancel') task.cancel()
    else task.update((request.params['inputResponses'] ?? {}) as Readonly<Record<string, unknown>>)
    return result(request, { resultType: 'complete' })
  }
}

function declares(params: Readonly<Record<string, unknown>>): boolean {
  const meta = params['_meta'] as Readonly<Record<string, unknown>> | undefined
  const capabilities = meta?.[CLIENT_CAPABILITIES_META_KEY] as { readonly extensions?: object } | undefined
  return Object.hasOwn(capabilities?.extensions ?? {}, tasksExtension)
}

function result({ id }: FrontRequest, of: object): FrontAnswer {
  return { status: 200, body: { jsonrpc: '2.0', id, result: of } }
}

function fault({ id }: FrontRequest, status: number, error: object): FrontAnswer {
  return { status, body: { jsonrpc: '2.0', id, error } }
}
