/**
 * The gateway's own MCP server, on the official SDK, for both eras and without sessions. A server is built for each
 * request with the tools that its caller's roles allow; what a tool does is done by the route of the API.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createMcpHandler, type McpHttpHandler, McpServer } from '@modelcontextprotocol/server'
import type { ApiHandler } from '../../api/handler.ts'
import type { Caller } from '../../api/route.ts'
import { asGatewayError } from '../../errors.ts'
import { version } from '../../version.ts'
import { type OwnTool, ownTools } from './tools.ts'

/** Who asks, and the conversation that they ask in. */
export interface OwnCaller {
  readonly caller: Caller
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly signal: AbortSignal
}

export interface OwnMcp {
  /** `body`: the request's, parsed. */
  answer(request: Request, body: unknown, from: OwnCaller): Promise<Response>
}

export function createOwnMcp(api: Pick<ApiHandler, 'call'>): OwnMcp {
  const handler: McpHttpHandler = createMcpHandler(({ authInfo }) => {
    const from = authInfo?.extra?.['from'] as OwnCaller | undefined
    if (from === undefined) throw new TypeError('nobody asks')
    return buildServer(api, from)
  })
  return {
    answer: (request, body, from) =>
      handler.fetch(request, {
        parsedBody: body,
        // The token stays out: nothing here needs it.
        authInfo: { token: '', clientId: from.caller.subject.id, scopes: [], extra: { from } },
      }),
  }
}

function buildServer(api: Pick<ApiHandler, 'call'>, from: OwnCaller): McpServer {
  const server = new McpServer(
    { name: 'sallyport', title: 'Sallyport', version },
    {
      instructions:
        'Tells what the access gateway lets you do, why it denied something, and how your approvals stand. ' +
        'It changes nothing and reaches no upstream.',
    },
  )
  for (const tool of ownTools.filter(({ role }) => from.caller.roles.has(role)))
    register(server, tool, { api, from })
  return server
}

function register(
  server: McpServer,
  tool: OwnTool,
  { api, from }: { readonly api: Pick<ApiHandler, 'call'>; readonly from: OwnCaller },
): void {
  const { name, title, description, input } = tool
  const annotations = {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  }
  server.registerTool(
    name,
    { title, description, inputSchema: input, annotations },
    async (args, context) => {
      const signal = AbortSignal.any([from.signal, context.mcpReq.signal])
      try {
        const found = await api.call(tool.route, { ...from, signal, ...tool.asked(args) })
        return {
          content: [{ type: 'text', text: JSON.stringify(found) }],
          structuredContent: found as Record<string, unknown>,
        }
      } catch (error) {
        const { code, title: said, detail } = asGatewayError(error)
        const text = `${code}: ${said}${detail === undefined ? '' : ` (${detail})`}`
        return { content: [{ type: 'text', text }], isError: true }
      }
    },
  )
}
