import { setTimeout as sleep } from 'node:timers/promises'
import type { McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { TaskFault, type TaskRun, type ToolResult } from './tasks.ts'

export interface TaskTool {
  readonly description: string
  readonly input: z.ZodObject
  /** Whether a client without the extension is refused. */
  readonly required: boolean
  /** A question to ask by `input_required` before the task begins. */
  readonly first?: { readonly key: string; readonly question: object }
  run(args: Readonly<Record<string, unknown>>, run: TaskRun): Promise<ToolResult>
}

function said(words: string, isError = false): ToolResult {
  return { content: [{ type: 'text', text: words }], ...(isError ? { isError } : {}) }
}

function form(message: string, field: string, type: 'string' | 'boolean'): object {
  const requestedSchema = { type: 'object', properties: { [field]: { type } }, required: [field] }
  return { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema } }
}

function field(answer: unknown, name: string): unknown {
  return (answer as { readonly content?: Readonly<Record<string, unknown>> } | undefined)?.content?.[name]
}

/** Tools that run as tasks where the client knows tasks. */
export const taskTools: Readonly<Record<string, TaskTool>> = {
  slow_compute: {
    description: 'Sleeps, then answers',
    input: z.object({ seconds: z.number().min(0).max(600), label: z.string().optional() }),
    required: false,
    async run({ seconds, label }, { signal }) {
      await sleep(Number(seconds) * 1000, undefined, { signal, ref: false })
      return said(`computed ${String(label ?? '')} in ${String(seconds)} s`)
    },
  },
  failing_job: {
    description: 'Fails in its work',
    input: z.object({}),
    required: true,
    async run(_args, { signal }) {
      await sleep(1000, undefined, { signal, ref: false })
      return said('the job failed', true)
    },
  },
  protocol_error_job: {
    description: 'Fails in the protocol',
    input: z.object({}),
    required: false,
    async run() {
      await sleep(50)
      throw new TaskFault(-32603, 'the server failed')
    },
  },
  confirm_delete: {
    description: 'Asks before it deletes',
    input: z.object({ filename: z.string() }),
    required: false,
    async run({ filename }, run) {
      const { confirm } = await run.ask({
        confirm: form(`Delete ${String(filename)}?`, 'confirm', 'boolean'),
      })
      return said(field(confirm, 'confirm') === true ? `deleted ${String(filename)}` : 'kept')
    },
  },
  multi_input: {
    description: 'Asks two things at once',
    input: z.object({}),
    required: false,
    async run(_args, run) {
      const answers = await run.ask({
        name: form('Your name?', 'name', 'string'),
        confirm: form('Sure?', 'confirm', 'boolean'),
      })
      return said(
        `${String(field(answers['name'], 'name'))}: ${String(field(answers['confirm'], 'confirm'))}`,
      )
    },
  },
  test_tool_with_task: {
    description: 'Asks first, then works as a task',
    input: z.object({}),
    required: true,
    first: { key: 'user_name', question: form('Your name?', 'name', 'string') },
    run: ({ user_name: answer }) => Promise.resolve(said(`done for ${String(field(answer, 'name'))}`)),
  },
}

/** For `tools/list`, and for clients without the extension, who wait for the answer in the call itself. */
export function addTaskTools(server: McpServer): void {
  for (const [name, tool] of Object.entries(taskTools)) {
    server.registerTool(
      name,
      { description: tool.description, inputSchema: tool.input },
      async (args, context) => {
        const cannot = () => Promise.reject(new Error('this needs a client that knows tasks'))
        const { content, isError } = await tool.run(args, { signal: context.mcpReq.signal, ask: cannot })
        return {
          content: content.map(({ text = '' }) => ({ type: 'text' as const, text })),
          ...(isError === undefined ? {} : { isError }),
        }
      },
    )
  }
}
