/** A client of 2026-07-28 that speaks the tasks extension by hand: each request one POST, each answer parsed. */
export interface TaskAnswer {
  readonly status: number
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

export interface TaskClient {
  ask(method: string, params?: Readonly<Record<string, unknown>>): Promise<TaskAnswer>
  call(name: string, args?: object): Promise<TaskAnswer>
  /** Asks for the task until it satisfies `is`. */
  poll(taskId: unknown, is?: (task: Task) => boolean): Promise<Task>
  /** What a subscription tells, message by message, until the signal fires. */
  listen(taskIds: readonly unknown[], signal: AbortSignal): AsyncGenerator<Message>
}

export type Task = Readonly<Record<string, unknown>>

export interface Message {
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
}

const ended = new Set(['completed', 'failed', 'cancelled'])

export const hasEnded = (task: Task): boolean => ended.has(String(task['status']))

export function taskClient(
  of: { readonly url: string; readonly token: string },
  capabilities: object = { elicitation: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } },
): TaskClient {
  let ids = 0
  const post = async (
    method: string,
    params: Readonly<Record<string, unknown>>,
    signal?: AbortSignal,
  ): Promise<Response> => {
    const name = params['taskId'] ?? params['name']
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'task-client', version: '1.0.0' },
      'io.modelcontextprotocol/clientCapabilities': capabilities,
    }
    return await fetch(of.url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${of.token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(name === undefined ? {} : { 'mcp-name': String(name) }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: ++ids, method, params: { ...params, _meta } }),
      ...(signal === undefined ? {} : { signal }),
    })
  }
  const client: TaskClient = {
    async ask(method, params = {}) {
      const answer = await post(method, params)
      const raw = await answer.text()
      const data = raw.startsWith('{')
        ? raw
        : (raw
            .match(/^data: (\{.*)$/gm)
            ?.at(-1)
            ?.slice(6) ?? '{}')
      return { status: answer.status, ...(JSON.parse(data) as Omit<TaskAnswer, 'status'>) }
    },
    call: (name, args = {}) => client.ask('tools/call', { name, arguments: args }),
    async poll(taskId, is = hasEnded) {
      for (let tries = 0; tries < 200; tries++) {
        const { result, error } = await client.ask('tasks/get', { taskId })
        if (result === undefined) throw new Error(`tasks/get: ${error?.code} ${error?.message}`)
        if (is(result)) return result
        await new Promise(resolve => setTimeout(resolve, 50))
      }
      throw new Error('the task did not come to that')
    },
    async *listen(taskIds, signal) {
      const answer = await post('subscriptions/listen', { notifications: { taskIds } }, signal)
      let rest = ''
      for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line.startsWith('data: {')) yield JSON.parse(line.slice(6)) as Message
      }
    },
  }
  return client
}
