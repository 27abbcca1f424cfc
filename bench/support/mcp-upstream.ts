/**
 * What the bench of MCP stands between: a server of both eras with one tool, as fast as Node lets it be, and a proxy that
 * looks at nothing.
 *   mcp-upstream.ts server PORT | proxy PORT UPSTREAM
 */
import { Agent, createServer, request as send } from 'node:http'

const [, , role, port, upstream] = process.argv

const words =
  'Latency of checkout is high. Look at the deploys of the last hour first: one of them is the cause. '
export const answerText = `${words.repeat(10)}Asked by ana@example.com, token ghp_R7fQ2mZx9LkW4vTn8sYb3cHd6jPa1eUg5iXo.`

const tool = {
  name: 'search_logs',
  description: 'Searches logs.',
  inputSchema: { type: 'object', properties: { query: { type: 'string' }, limit: { type: 'integer' } } },
}
const common = { capabilities: { tools: {} }, serverInfo: { name: 'bench', version: '1.0.0' } }
const content = [{ type: 'text', text: answerText }]
const results: Readonly<Record<string, object>> = {
  initialize: { ...common, protocolVersion: '2025-11-25' },
  'server/discover': { ...common, supportedVersions: ['2026-07-28'], resultType: 'complete', ttlMs: 0 },
  'tools/list': { tools: [tool], resultType: 'complete', ttlMs: 0, cacheScope: 'public' },
  'tools/call': { content, resultType: 'complete' },
}

function serve(): void {
  createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      if (request.method !== 'POST') return void response.writeHead(405).end()
      const { id, method } = JSON.parse(Buffer.concat(parts).toString()) as { id?: number; method: string }
      if (id === undefined) return void response.writeHead(202).end()
      const body = JSON.stringify({ jsonrpc: '2.0', id, result: results[method] ?? {} })
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      })
      response.end(body)
    })
  }).listen(Number(port), '127.0.0.1')
}

function pass(): void {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  createServer((request, response) => {
    const { method, url: path, headers } = request
    const onward = send(
      { port: Number(upstream), host: '127.0.0.1', method, path, headers, agent },
      answer => {
        response.writeHead(answer.statusCode!, answer.rawHeaders)
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  }).listen(Number(port), '127.0.0.1')
}

if (role === 'server') serve()
if (role === 'proxy') pass()
