/** A whole gateway in a process of its own, as `sallyport serve` starts it, on one core. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { stringify } from 'yaml'
import type { z } from 'zod'
import type { configSchema } from '../../src/config/schema.ts'
import { freePort, type Pinned, startPinned, whenListening } from './process.ts'

export type ConfigInput = z.input<typeof configSchema>

export const issuer = 'https://issuer.example.com'
export const audience = 'sallyport'
/** What upstreams of the benches know the gateway by: `${env:BENCH_API_KEY}` in its configuration. */
export const credentialOfUpstream = '0123456789abcdef0123456789abcdef'

/** An issuer of tokens: its keys in files, as PEM and as a JWK set. */
export interface Issuer {
  readonly publicKeyFile: string
  readonly jwksFile: string
  token(id: string): Promise<string>
}

export async function createIssuer(directory: string): Promise<Issuer> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  const publicKeyFile = join(directory, 'issuer.pem')
  const jwksFile = join(directory, 'jwks.json')
  await writeFile(publicKeyFile, await exportSPKI(publicKey))
  const key = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' }
  await writeFile(jwksFile, JSON.stringify({ keys: [key] }))
  return {
    publicKeyFile,
    jwksFile,
    token: id =>
      new SignJWT({ groups: ['agents', 'sre'], email: 'ana@example.com', team: 'payments' })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(id)
        .setIssuedAt()
        .setExpirationTime('2h')
        .sign(privateKey),
  }
}

/** 20 rules, half of them with a condition in CEL; `sre-reads` is the one that permits what is measured. */
export const rules: NonNullable<ConfigInput['policy']>['rules'] = [
  {
    name: 'sre-reads',
    effect: 'allow',
    subjects: { groups: ['sre'] },
    connections: { sensitivity: ['low', 'medium', 'high'] },
    risks: ['read'],
    mask: ['secrets', 'personal'],
  },
  { name: 'no-key-reads', effect: 'deny', operations: ['v1.listAPIKeys', 'v2.listAPIKeys', 'v1.getAPIKey'] },
  {
    name: 'no-user-admin',
    effect: 'deny',
    operations: ['v1.disableUser', 'v2.disableUser', 'v2.createUser*'],
  },
  { name: 'admin-by-people', effect: 'deny', subjects: { kinds: ['agent'] }, risks: ['admin'] },
  {
    name: 'tag-searches-are-scoped',
    effect: 'deny',
    risks: ['read'],
    when: "request.method == 'GET' && 'tags' in request.query && !request.query.tags.contains('team:')",
  },
  {
    name: 'pages-are-small',
    effect: 'deny',
    when: "'page_size' in request.query && int(request.query.page_size) > 500",
  },
  {
    name: 'production-at-night',
    effect: 'deny',
    connections: { labels: { env: 'prod' } },
    when: "action.risk != 'read' && now.getHours() < 6",
  },
  {
    name: 'one-team-per-agent',
    effect: 'deny',
    when: "subject.kind == 'agent' && has(subject.claims.team) && subject.claims.team == 'quarantined'",
  },
  {
    name: 'no-raw-exports',
    effect: 'deny',
    when: "request.path.startsWith('/api/v2/logs/analytics') || request.path.endsWith('/export')",
  },
  {
    name: 'no-foreign-accounts',
    effect: 'deny',
    when: "request.path.matches('^/api/v[12]/integration/(aws|gcp|azure)') && !('cloud' in subject.groups)",
  },
  {
    name: 'new-clients-shadow',
    effect: 'deny',
    shadow: true,
    when: "action.operation.startsWith('v3.')",
  },
  {
    name: 'sre-writes-monitors',
    effect: 'allow',
    subjects: { groups: ['sre'] },
    operations: ['v1.*Monitor*'],
  },
  {
    name: 'monitor-deletes-are-asked',
    effect: 'require_approval',
    operations: ['v1.deleteMonitor'],
    approval: { approvers: ['group:leads'] },
  },
  {
    name: 'dashboards-by-payments',
    effect: 'allow',
    operations: ['v1.*Dashboard*'],
    when: "subject.claims.team == 'payments'",
  },
  { name: 'metrics-in', effect: 'allow', operations: ['v2.submitMetrics', 'v1.submitMetrics'] },
  {
    name: 'downtimes',
    effect: 'require_approval',
    operations: ['v2.*Downtime*'],
    risks: ['write', 'delete'],
    approval: { approvers: ['group:leads'] },
  },
  { name: 'synthetics', effect: 'deny', operations: ['v1.*Synthetics*'], risks: ['write', 'delete'] },
  {
    name: 'incidents-of-people',
    effect: 'allow',
    subjects: { kinds: ['user'] },
    operations: ['v2.*Incident*'],
  },
  { name: 'security-reads', effect: 'allow', subjects: { groups: ['security'] }, risks: ['read'] },
  {
    name: 'org-settings',
    effect: 'deny',
    operations: ['v1.updateOrg', 'v2.*Restriction*', 'v2.*AuthNMapping*'],
    risks: ['write', 'delete', 'admin'],
  },
]

export interface GatewayOptions {
  readonly directory: string
  readonly core: number
  readonly jwksFile: string
  /** Port of the upstream of the connection `datadog`; not needed where `change` has connections of its own. */
  readonly upstream?: number
  readonly sinks?: ConfigInput['sinks']
  readonly change?: Partial<ConfigInput>
  /** Beside the shared one. */
  readonly listen?: ConfigInput['listen']
  /** More arguments for Node, such as `--cpu-prof`. */
  readonly node?: readonly string[]
}

export interface BenchGateway extends AsyncDisposable {
  readonly url: string
  readonly data: string
  readonly process: Pinned
  /** Milliseconds from the start of the process until it took connections. */
  readonly startMs: number
}

/** Everything on: token, policy, masks, full recording, durable intent and outcome; a sink where one is given. */
export async function startBenchGateway(options: GatewayOptions): Promise<BenchGateway> {
  const { directory, core } = options
  await mkdir(directory, { recursive: true })
  const port = await freePort()
  const file = join(directory, 'sallyport.yaml')
  const config: ConfigInput = {
    data: join(directory, 'data'),
    origin: 'gateway.example.com/bench',
    listen: [{ address: `127.0.0.1:${port}` }, ...(options.listen ?? [])],
    storage: { watermarks: { warn_percent: 0, refuse_sessions_percent: 0, refuse_percent: 0 } },
    identity: {
      issuers: [
        {
          name: 'bench',
          issuer,
          audience,
          jwks_file: options.jwksFile,
          algorithms: ['RS256'],
          kind: { when: [{ claim: 'groups', in: 'agents', kind: 'agent' }] },
        },
      ],
    },
    connections: [
      {
        name: 'datadog',
        protocol: 'datadog',
        sensitivity: 'high',
        labels: { env: 'prod' },
        url: `http://127.0.0.1:${options.upstream ?? 0}`,
        credential: { api_key: '${env:BENCH_API_KEY}', app_key: '${env:BENCH_APP_KEY}' },
      },
    ],
    policy: { rules },
    sinks: options.sinks ?? [],
    ...options.change,
  }
  await writeFile(file, stringify(config))
  const root = join(import.meta.dirname, '../..')
  const command =
    options.node === undefined
      ? [join(root, 'script/sallyport')]
      : [process.execPath, ...options.node, join(root, 'src/cli/main.ts')]
  const log = join(directory, 'sallyport.log')
  const env = {
    BENCH_API_KEY: credentialOfUpstream,
    BENCH_APP_KEY: '0123456789abcdef0123456789abcdef01234567',
    NODE_ENV: 'production',
  }
  const began = performance.now()
  const started = startPinned([...command, 'serve', '--config', file], { core, log, env })
  try {
    for (const { address } of config.listen!) await whenListening(Number(address.split(':')[1]))
  } catch (cause) {
    await started.stop()
    throw new Error(`the gateway did not start: ${await readFile(log, 'utf8')}`, { cause })
  }
  const startMs = performance.now() - began
  return {
    url: `http://127.0.0.1:${port}`,
    data: join(directory, 'data'),
    process: started,
    startMs,
    [Symbol.asyncDispose]: started.stop,
  }
}

/** A sink of the main job: gzip batches of events to an intake, at an address of our own. */
export function datadogSink(url: string): NonNullable<ConfigInput['sinks']> {
  return [{ name: 'datadog', type: 'datadog', api_key: '${env:BENCH_API_KEY}', intake_url: url }]
}
