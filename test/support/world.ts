/**
 * The world around a gateway under test: a practice identity provider, a practice Datadog, a practice logs intake, and
 * a directory with the configuration, the upstream's secrets and the data. Everything listens on a free port.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { z } from 'zod'
import { type PracticeIntake, startPracticeIntake } from '../../practice/datadog/intake.ts'
import { type PracticeDatadog, startPracticeDatadog } from '../../practice/datadog/practice-datadog.ts'
import { practiceIssuerSection } from '../../practice/identity-provider/issuer-section.ts'
import {
  type PracticeIdentityProvider,
  startPracticeIdentityProvider,
} from '../../practice/identity-provider/practice-identity-provider.ts'
import type { configSchema } from '../../src/config/schema.ts'

/** A configuration as a file has it. */
export type ConfigInput = z.input<typeof configSchema>

export interface World extends AsyncDisposable {
  readonly directory: string
  readonly configFile: string
  /** The gateway's data directory. */
  readonly data: string
  readonly identityProvider: PracticeIdentityProvider
  readonly datadog: PracticeDatadog
  readonly intake: PracticeIntake
  /** As last written. */
  readonly config: ConfigInput
  /** Writes the configuration: `change` is laid over what was there, section by section. */
  configure(change: Partial<ConfigInput>): Promise<void>
  /** Keeps a secret outside the data directory and gives the reference to it. */
  secret(name: string, value: string): Promise<string>
  /** An access token of somebody in the practice directory: `ana`, `triage-agent`. */
  token(who: string): Promise<string>
  close(): Promise<void>
}

export interface WorldOptions {
  /** Laid over the default configuration. */
  readonly config?: Partial<ConfigInput>
  /** Who approves a device at once; default `ana`. */
  readonly autoApprove?: string
  /** Where the data is; default a directory of this world's own. */
  readonly data?: string
  /** The clock of the practice Datadog, milliseconds since the epoch. */
  readonly now?: () => number
  /** What the practice Datadog allows its one organisation. */
  readonly callsPerMinute?: number
}

/** Rules of the default configuration: agents do what they like but delete monitors, and see no personal data. */
export const defaultRules: NonNullable<NonNullable<ConfigInput['policy']>['rules']> = [
  {
    name: 'agents-read',
    effect: 'allow',
    subjects: { kinds: ['agent'] },
    risks: ['read'],
    mask: ['personal'],
  },
  {
    name: 'agents-write',
    effect: 'allow',
    subjects: { kinds: ['agent'] },
    risks: ['write', 'delete', 'admin'],
  },
  {
    name: 'no-monitor-deletes',
    effect: 'deny',
    operations: ['v1.deleteMonitor'],
    message: 'Monitors are deleted by people.',
  },
]

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-e2e-'))
  const [identityProvider, datadog, intake] = await Promise.all([
    startPracticeIdentityProvider({ autoApprove: options.autoApprove ?? 'ana' }),
    startPracticeDatadog({
      ...(options.now === undefined ? {} : { now: options.now }),
      ...(options.callsPerMinute === undefined ? {} : { callsPerMinute: options.callsPerMinute }),
    }),
    startPracticeIntake(),
  ])
  const configFile = join(directory, 'sallyport.yaml')
  const secrets = join(directory, 'secrets')
  await mkdir(secrets)
  let config: ConfigInput = {}

  const world: World = {
    directory,
    configFile,
    data: options.data ?? join(directory, 'data'),
    identityProvider,
    datadog,
    intake,
    get config() {
      return config
    },
    async configure(change) {
      config = { ...config, ...change }
      await writeFile(configFile, stringify(config))
    },
    async secret(name, value) {
      const file = join(secrets, name)
      await writeFile(file, `${value}\n`, { mode: 0o600 })
      return `file:${file}`
    },
    token: who => identityProvider.mintFor(who),
    async close() {
      await Promise.all([identityProvider.close(), datadog.close(), intake.close()])
      await rm(directory, { recursive: true, force: true })
    },
    [Symbol.asyncDispose]: () => world.close(),
  }
  await world.configure({ ...(await defaultConfig(world)), ...options.config })
  return world
}

async function defaultConfig(world: World): Promise<ConfigInput> {
  const { datadog, identityProvider, intake } = world
  const [apiKey, appKey, intakeKey] = await Promise.all([
    world.secret('datadog-api-key', datadog.keys.apiKey),
    world.secret('datadog-app-key', datadog.keys.appKey),
    world.secret('intake-key', intake.apiKey),
  ])
  return {
    data: world.data,
    origin: 'gateway.example.com/test',
    listen: [{ address: '127.0.0.1:0' }],
    storage: {
      segment_bytes: '1MiB',
      reserve_bytes: '64KiB',
      watermarks: { warn_percent: 0, refuse_sessions_percent: 0, refuse_percent: 0 },
    },
    identity: { issuers: [practiceIssuerSection(identityProvider.issuer)] },
    roles: { admin: ['group:platform'], auditor: ['group:security'], approver: ['group:security'] },
    sign_in: { issuer: identityProvider.issuer, client_id: 'sallyport-cli' },
    connections: [
      {
        name: 'datadog',
        protocol: 'datadog',
        sensitivity: 'high',
        url: datadog.url,
        credential: { api_key: apiKey, app_key: appKey },
      },
    ],
    policy: { rules: defaultRules },
    sinks: [
      {
        name: 'intake',
        type: 'datadog',
        api_key: intakeKey,
        intake_url: `${intake.url}/api/v2/logs`,
        batch: { max_wait: '20ms' },
      },
    ],
  }
}
