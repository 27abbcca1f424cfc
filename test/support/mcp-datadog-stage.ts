/**
 * Community servers for Datadog behind a gateway, which is in front of Datadog too: agent -> gateway -> server ->
 * gateway -> practice Datadog. A server has the gateway's address in place of Datadog's, and no key.
 */
import { join } from 'node:path'
import { root } from '../sources.ts'
import { openGateway, type TestGateway } from './gateway.ts'
import { TestAuthority } from './test-authority.ts'
import { type ConfigInput, createWorld, type World } from './world.ts'

export interface DatadogServersStage extends AsyncDisposable {
  readonly world: World
  readonly gateway: TestGateway
  /** Of the connection `tools`. */
  readonly url: string
  readonly token: string
  /** Puts other servers behind `tools`. */
  serve(servers: readonly object[]): Promise<void>
  /** A server by its name on npm, as the configuration has it. */
  server(name: keyof typeof packages, more?: object): object
}

const packages = {
  winor: 'node_modules/@winor30/mcp-server-datadog/build/index.js',
  tantiope: 'node_modules/datadog-mcp/dist/index.js',
}

const rules: NonNullable<NonNullable<ConfigInput['policy']>['rules']> = [
  {
    name: 'agents-read',
    effect: 'allow',
    subjects: { kinds: ['agent'] },
    risks: ['read'],
    mask: ['personal'],
  },
  {
    name: 'agents-use-tools',
    effect: 'allow',
    subjects: { kinds: ['agent'] },
    connections: { names: ['tools'] },
  },
]

export async function datadogServersStage(): Promise<DatadogServersStage> {
  const authority = await TestAuthority.create()
  const names = 'IP:127.0.0.1,DNS:api.gateway.test'
  const { cert, key } = await authority.issue({ names, usage: 'serverAuth' })
  const world = await createWorld({
    config: {
      listen: [
        { address: '127.0.0.1:0' },
        { address: '127.0.0.1:0', connection: 'datadog', tls: { certificate: cert, key } },
      ],
      policy: { rules },
    },
  })
  const gateway = await openGateway(world)
  const port = new URL(gateway.running.urls[1]!).port
  const own = world.config.connections ?? []
  // What each server calls its keys and the place of the API; `api` is the name that Datadog's client puts before a site.
  const env = {
    winor: {
      DATADOG_API_KEY: '${gateway.token}',
      DATADOG_APP_KEY: 'not-used',
      DATADOG_SUBDOMAIN: '127',
      DATADOG_SITE: `0.0.1:${port}`,
    },
    tantiope: {
      DD_API_KEY: '${gateway.token}',
      DD_APP_KEY: 'not-used',
      DD_SITE: `gateway.test:${port}`,
      NODE_OPTIONS: `--require ${join(root, 'test/support/names-here.cjs')}`,
    },
  }
  return {
    world,
    gateway,
    url: `${gateway.url}/c/tools`,
    token: await world.token('triage-agent'),
    server: (name, more = {}) => ({
      name,
      command: process.execPath,
      args: [join(root, packages[name])],
      env: { ...env[name], NODE_EXTRA_CA_CERTS: authority.ca },
      connections: ['datadog'],
      process: { start: '2m' },
      ...more,
    }),
    async serve(servers) {
      const tools = { name: 'tools', protocol: 'mcp', servers } as unknown as (typeof own)[number]
      await world.configure({ connections: [...own, tools] })
      if (!(await gateway.running.reload())) throw new Error(gateway.said.join('\n'))
    },
    async [Symbol.asyncDispose]() {
      await gateway.close(0)
      await world.close()
    },
  }
}
