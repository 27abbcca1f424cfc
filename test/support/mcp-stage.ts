/** A gateway in front of MCP servers, and clients of both eras that go through it. */
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
} from '@modelcontextprotocol/client'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { openGateway, type TestGateway } from './gateway.ts'
import { type ConfigInput, createWorld, type World } from './world.ts'

export interface McpStage extends AsyncDisposable {
  readonly world: World
  readonly gateway: TestGateway
  /** Of the connection `tools`. */
  readonly url: string
  readonly token: string
}

type Rules = NonNullable<NonNullable<ConfigInput['policy']>['rules']>

/** Everything is allowed, and of what no catalogue knows what begins as the fixture's names do. */
export const allowAll: Rules = [
  { name: 'agents-do-all', effect: 'allow', subjects: { kinds: ['agent'] } },
  {
    name: 'agents-try-names',
    effect: 'allow',
    subjects: { kinds: ['agent'] },
    unknown: true,
    operations: ['tools/call:test_*', 'prompts/get:test_*', 'resources/read:test://*'],
  },
]

export async function mcpStage(
  settings: Readonly<Record<string, unknown>>,
  options: { readonly rules?: Rules; readonly config?: Partial<ConfigInput> } = {},
): Promise<McpStage> {
  const connection = { name: 'tools', protocol: 'mcp', ...settings }
  const world = await createWorld({
    config: {
      connections: [connection] as unknown as NonNullable<ConfigInput['connections']>,
      policy: { rules: options.rules ?? allowAll },
      ...options.config,
    },
  })
  const gateway = await openGateway(world)
  return {
    world,
    gateway,
    url: `${gateway.url}/c/tools`,
    token: await world.token('triage-agent'),
    async [Symbol.asyncDispose]() {
      await gateway.close(0)
      await world.close()
    },
  }
}

const info = { name: 'test-client', version: '1.2.3' }

type Stage = Pick<McpStage, 'url' | 'token'>

function auth({ token }: Stage): { requestInit: { headers: Record<string, string> } } {
  return { requestInit: { headers: { authorization: `Bearer ${token}` } } }
}

export async function modernClient(
  stage: Stage,
  options: ConstructorParameters<typeof ModernClient>[1] = {},
): Promise<ModernClient> {
  const client = new ModernClient(info, { versionNegotiation: { mode: { pin: '2026-07-28' } }, ...options })
  await client.connect(new ModernTransport(new URL(stage.url), auth(stage)))
  return client
}

export async function legacyClient(
  stage: Stage,
  options: ConstructorParameters<typeof LegacyClient>[1] = {},
): Promise<LegacyClient> {
  const client = new LegacyClient(info, options)
  await client.connect(new LegacyTransport(new URL(stage.url), auth(stage)) as never)
  return client
}
