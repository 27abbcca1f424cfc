/** What the benches of MCP call: a connection with three rules, two of them with a condition in CEL, and one tool's call. */
import { join } from 'node:path'
import type { ConfigInput } from './gateway.ts'
import { freePort, type Pinned, startPinned, whenListening } from './process.ts'

export const toolRules: NonNullable<NonNullable<ConfigInput['policy']>['rules']> = [
  { name: 'agents-call', effect: 'allow', operations: ['tools/*'], mask: ['secrets', 'personal'] },
  {
    name: 'small-searches',
    effect: 'deny',
    operations: ['tools/call:search_*'],
    when: 'has(request.arguments.limit) && request.arguments.limit > 500',
  },
  {
    name: 'no-secrets-index',
    effect: 'deny',
    operations: ['tools/call:*'],
    when: "has(request.arguments.query) && request.arguments.query.contains('index:secrets')",
  },
]
const args = { query: 'service:checkout status:error', limit: 50 }
const call = { name: 'search_logs', arguments: args }

const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': {},
}
/** Of revision 2026-07-28. */
export const modern = {
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { ...call, _meta: meta } }),
  headers: { 'MCP-Protocol-Version': '2026-07-28', 'Mcp-Method': 'tools/call', 'Mcp-Name': 'search_logs' },
}
/** Of revision 2025-11-25, in a session. */
export const legacy = {
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: call }),
  headers: { 'MCP-Protocol-Version': '2025-11-25' },
}
export const always = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' }

/** The part of a gateway's configuration that stands before the server on `port`, as the connection `tools`. */
export function toolsConfig(port: number): Partial<ConfigInput> {
  const servers = [{ name: 'main', url: `http://127.0.0.1:${port}/mcp` }]
  const connections = [{ name: 'tools', protocol: 'mcp', servers }]
  return {
    connections: connections as unknown as NonNullable<ConfigInput['connections']>,
    policy: { rules: toolRules },
  }
}

/** Opens a session of the 2025 era. Resolves with its id. */
export async function openSession(url: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'b', version: '1' } }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params })
  const answer = await fetch(url, { method: 'POST', headers, body })
  await answer.text()
  return answer.headers.get('mcp-session-id') ?? ''
}

export interface ToolProcess extends AsyncDisposable {
  readonly port: number
  readonly process: Pinned
}

/** A server of both eras with the one tool, on one core. */
export async function startToolServer(directory: string, core: number): Promise<ToolProcess> {
  return await start(directory, core, ['server'])
}

/** A Node proxy that looks at nothing, on one core. */
export async function startToolProxy(
  directory: string,
  core: number,
  upstream: number,
): Promise<ToolProcess> {
  return await start(directory, core, ['proxy', String(upstream)])
}

async function start(
  directory: string,
  core: number,
  [role = '', ...more]: readonly string[],
): Promise<ToolProcess> {
  const port = await freePort()
  const program = join(import.meta.dirname, 'mcp-upstream.ts')
  const command = [process.execPath, program, role, String(port), ...more]
  const started = startPinned(command, { core, log: join(directory, `${role}.log`) })
  await whenListening(port)
  return { port, process: started, [Symbol.asyncDispose]: started.stop }
}
