/**
 * What this gateway does and how it is configured, as the frameworks of facts/audit-log.md part 6 ask for it. Each row
 * is decided by a fact that can be shown, and says with which command. What depends on people and on other systems is
 * `unknown` here: a gateway that calls itself compliant with it would be guessing.
 */
import type { Config } from '../config/schema.ts'
import type { DiskState } from './disk-watch.ts'

export type ComplianceState = 'met' | 'partly' | 'not-met' | 'unknown'

export interface ComplianceRow {
  readonly framework: string
  readonly control: string
  readonly asks: string
  readonly state: ComplianceState
  readonly because: string
  readonly shownBy: string
}

/** What rows are decided by. */
export interface ComplianceFacts {
  readonly config: Pick<
    Config,
    'retention' | 'recording' | 'sinks' | 'listen' | 'identity' | 'roles' | 'masking' | 'storage'
  >
  readonly logHealthy: boolean
  /** Entries that no signed head covers yet. */
  readonly unsigned: number
  readonly disk: DiskState
  /** Sinks that are far behind, or refuse. */
  readonly lagging: readonly string[]
  readonly connections: number
  /** Policy rules that ask a person. */
  readonly askingRules: number
}

const day = 86_400_000

type Verdict = readonly [state: ComplianceState, because: string]

/** Rows in the order of the frameworks. */
export function complianceRows(facts: ComplianceFacts): ComplianceRow[] {
  const judged = verdicts(facts)
  return requirements.map(([framework, control, asks, by, shownBy]) => {
    const [state, because] = judged[by]
    return { framework, control, asks, state, because, shownBy }
  })
}

type Fact = keyof ReturnType<typeof verdicts>

function verdicts({ config, ...facts }: ComplianceFacts) {
  const { retention, sinks } = config
  return {
    refuse: facts.logHealthy
      ? met('an action whose intent can not be made durable is refused; there is no other mode')
      : notMet('the log can not be written now, and every action is refused'),
    complete: met('each intent has exactly one end, numbers have no gap, and counters add up'),
    tamper: tamperVerdict(facts),
    encrypted:
      config.recording.recipients === undefined
        ? ([
            'partly',
            'recordings are encrypted, and the key that opens them is on this machine: configure recording.recipients',
          ] as const)
        : met('recordings are encrypted to public keys; what is written can not be read here'),
    central: centralVerdict(sinks, facts.lagging),
    capacity:
      facts.disk === 'ok'
        ? met(`marks at ${marksOf(config)} % of the disk; there is room`)
        : (['partly', `the disk is short of room: ${facts.disk}`] as const),
    transport: transportVerdict(config.listen),
    identity:
      config.identity.issuers.length > 0
        ? met(`${config.identity.issuers.length} identity providers; each entry names who it was`)
        : (['partly', 'only tokens of the gateway itself: no identity provider is configured'] as const),
    roles: rolesVerdict(config.roles),
    readings: met('each reading of a recording or of the log is an entry before anything is shown'),
    brokered:
      facts.connections > 0
        ? met('clients never hold upstream credentials; they are lent inside the gateway')
        : (['unknown', 'no connection is configured'] as const),
    approvals:
      facts.askingRules > 0
        ? met(
            `${facts.askingRules} rules ask a person, whose vote is bound to the exact action and is an entry`,
          )
        : notMet('no rule of the policy asks a person'),
    sixMonths: keeps(retention.entries.keep, retention.minimum.entries, 183),
    year: keeps(retention.entries.keep, retention.minimum.entries, 365),
    thirtyMonths: keeps(retention.entries.keep, retention.minimum.entries, 913),
    sixYears: keeps(retention.entries.keep, retention.minimum.entries, 2192),
    deletion: met(
      'recordings are erased by the destruction of their keys; holds and the legal minimum come first',
    ),
    time: [
      'unknown',
      'times are those of this machine, in UTC; whether its clock is set is not looked at here',
    ] as const,
    people: ['unknown', 'depends on people and systems outside of the gateway'] as const,
  } satisfies Record<string, Verdict>
}

function marksOf({ storage }: Pick<Config, 'storage'>): string {
  const { warn_percent, refuse_sessions_percent, refuse_percent } = storage.watermarks
  return `${warn_percent}, ${refuse_sessions_percent} and ${refuse_percent}`
}

function met(because: string): Verdict {
  return ['met', because]
}

function notMet(because: string): Verdict {
  return ['not-met', because]
}

function tamperVerdict({ unsigned, logHealthy }: Pick<ComplianceFacts, 'unsigned' | 'logHealthy'>): Verdict {
  if (!logHealthy) return notMet('the log was found damaged, or can not be written')
  const signed = `a Merkle tree, signed; ${unsigned} entries wait for the next signature`
  // The owner of the signing key can rewrite what nobody else holds a head of (THREAT-MODEL.md).
  return [
    'partly',
    `${signed}. Proof against its own operator needs heads that are kept elsewhere: give one to --since`,
  ]
}

function centralVerdict(sinks: Config['sinks'], lagging: readonly string[]): Verdict {
  const away = sinks.filter(each => each.type === 'datadog' || each.type === 'webhook').map(each => each.name)
  if (away.length === 0) return notMet('no sink outside of this machine is configured')
  const behind = away.filter(name => lagging.includes(name))
  return behind.length > 0
    ? ['partly', `these sinks are behind or refuse: ${behind.join(', ')}`]
    : met(`each entry goes to ${away.join(', ')} within seconds, at least once`)
}

function transportVerdict(listen: Config['listen']): Verdict {
  const plain = listen.filter(each => each.tls === undefined)
  if (plain.length === 0) return met('every listener takes TLS alone')
  return plain.some(each => each.allow_plain)
    ? [
        'unknown',
        'a listener takes plain HTTP from other machines; whether a proxy before it ends TLS is not seen here',
      ]
    : ['partly', 'listeners without TLS take clients of this machine alone']
}

function rolesVerdict(roles: Config['roles']): Verdict {
  const given = Object.entries(roles).filter(([name, matchers]) => name !== 'user' && matchers.length > 0)
  return given.length > 0
    ? met(`given by configuration: ${given.map(([name]) => name).join(', ')}`)
    : ['partly', 'no role is given to anybody: only this machine’s own user administers']
}

function keeps(keep: number, minimum: number, days: number): Verdict {
  const kept = `entries are kept for ${Math.floor(keep / day)} days, never less than ${Math.floor(minimum / day)}`
  if (keep < days * day) return notMet(`${kept}; ${days} are asked for`)
  return minimum < days * day
    ? ['partly', `${kept}: set retention.minimum.entries to ${days}d to hold it`]
    : met(kept)
}

type Requirement = readonly [framework: string, control: string, asks: string, by: Fact, shownBy: string]

const verifyCommand = 'sallyport verify --complete --since <a head kept elsewhere>'
const retentionCommand = 'sallyport retention status'
const sinkCommand = 'sallyport export status'

const requirements: readonly Requirement[] = [
  ['SOC 2', 'CC6.1', 'logical access is restricted', 'identity', 'sallyport policy test'],
  ['SOC 2', 'CC6.1', 'keys and credentials are protected', 'brokered', 'sallyport connections'],
  ['SOC 2', 'CC6.6', 'access from outside is guarded', 'transport', 'sallyport doctor'],
  ['SOC 2', 'CC6.7', 'data at rest is protected', 'encrypted', 'sallyport doctor'],
  ['SOC 2', 'CC7.1-7.2', 'changes and anomalies are detected', 'tamper', verifyCommand],
  ['SOC 2', 'CC7.3-7.4', 'events are evaluated and answered', 'people', 'sallyport audit search'],
  ['PCI DSS 4.0', '10.2.1', 'audit logs are on and record access, by whom', 'complete', verifyCommand],
  [
    'PCI DSS 4.0',
    '10.2.1.3',
    'access to audit logs is recorded',
    'readings',
    'sallyport audit search --kind audit.read',
  ],
  [
    'PCI DSS 4.0',
    '10.2.2',
    'user, type, time, outcome, origin, resource',
    'complete',
    'sallyport audit search --json',
  ],
  ['PCI DSS 4.0', '10.3.1', 'reading is for those who need it', 'roles', 'sallyport doctor'],
  ['PCI DSS 4.0', '10.3.2', 'logs are protected from modification', 'tamper', verifyCommand],
  ['PCI DSS 4.0', '10.3.3', 'a prompt copy in a central store', 'central', sinkCommand],
  ['PCI DSS 4.0', '10.3.4', 'changes of logs are detected', 'tamper', verifyCommand],
  ['PCI DSS 4.0', '10.4', 'logs are reviewed daily', 'people', 'sallyport audit search --since 24h'],
  ['PCI DSS 4.0', '10.5.1', 'twelve months are kept', 'year', retentionCommand],
  ['PCI DSS 4.0', '10.6', 'clocks are synchronised', 'time', 'sallyport audit search --kind heartbeat'],
  [
    'PCI DSS 4.0',
    '10.7.2',
    'failures of audit logging are detected and answered',
    'refuse',
    'sallyport audit search --kind disk.crossed',
  ],
  ['HIPAA', '164.312(b)', 'activity is recorded and examined', 'complete', verifyCommand],
  ['HIPAA', '164.312(c)(1)', 'integrity is protected', 'tamper', verifyCommand],
  ['HIPAA', '164.316(b)(2)', 'six years are kept', 'sixYears', retentionCommand],
  ['ISO 27001:2022', 'A.8.15', 'logs are produced, stored, protected', 'tamper', verifyCommand],
  ['ISO 27001:2022', 'A.8.17', 'clocks are synchronised', 'time', 'sallyport audit search --kind heartbeat'],
  ['ISO 27001:2022', 'A.5.33', 'records are protected', 'encrypted', 'sallyport doctor'],
  [
    'ISO 27001:2022',
    'A.8.10',
    'information is deleted when no longer required',
    'deletion',
    retentionCommand,
  ],
  [
    'NIST 800-53',
    'AU-2, AU-3',
    'what is logged, and its content',
    'complete',
    'sallyport audit search --json',
  ],
  ['NIST 800-53', 'AU-4', 'capacity for the log', 'capacity', retentionCommand],
  ['NIST 800-53', 'AU-5(4)', 'processing stops when the log fails', 'refuse', 'sallyport doctor'],
  ['NIST 800-53', 'AU-6, AU-7', 'review, reduction, reports', 'people', 'sallyport audit search'],
  ['NIST 800-53', 'AU-8', 'time stamps', 'time', 'sallyport audit search --json'],
  ['NIST 800-53', 'AU-9(2)', 'a copy on another system', 'central', sinkCommand],
  ['NIST 800-53', 'AU-9(3)', 'cryptographic protection', 'tamper', verifyCommand],
  ['NIST 800-53', 'AU-9(4)', 'few privileged users', 'roles', 'sallyport doctor'],
  ['NIST 800-53', 'AU-10', 'non-repudiation of consent', 'approvals', 'sallyport audit receipt <entry>'],
  ['NIST 800-53', 'AU-11 (M-21-31)', 'thirty months are kept', 'thirtyMonths', retentionCommand],
  ['NIST 800-53', 'AU-12', 'records are generated', 'complete', verifyCommand],
  ['EU AI Act', 'Art. 12', 'events are logged automatically over the lifetime', 'complete', verifyCommand],
  ['EU AI Act', 'Art. 14', 'people oversee', 'approvals', 'sallyport policy explain'],
  ['EU AI Act', 'Art. 19, 26(6)', 'six months are kept', 'sixMonths', retentionCommand],
  [
    'GDPR',
    'Art. 5(1)(e), 17',
    'storage is limited, and erased on request',
    'deletion',
    'sallyport erasure --person <who> --basis <words>',
  ],
  ['GDPR', 'Art. 32', 'security of processing', 'encrypted', 'sallyport doctor'],
]
