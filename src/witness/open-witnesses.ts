import { join } from 'node:path'
import { Gauge, type Registry } from 'prom-client'
import type { EventKind } from '../audit/events.ts'
import type { Cosignatures } from '../audit/published-tree.ts'
import { readIfThere } from '../audit/tiles.ts'
import { parseVerifierKey } from '../audit/verify/signed-note.ts'
import type { AuditConfig } from '../config/audit.ts'
import type { Logger } from '../log.ts'
import { Witnesses, type WitnessesState } from './witnesses.ts'

export interface OpenWitnesses {
  readonly config: AuditConfig
  /** Directory of the published log. */
  readonly published: string
  /** Asked late, since the witnesses are told of heads from the first one on. */
  readonly checkpointer: () => {
    prove(old: number, size: number): Promise<readonly Buffer[]>
    cosign(cosignatures: Cosignatures): Promise<void>
  }
  readonly note: (kind: EventKind, attributes: Readonly<Record<string, unknown>>) => Promise<unknown>
  readonly registry: Registry
  readonly logger: Logger
}

/** `checkpoint.witnessed` entries come at most this often, unless the quorum had been missing. */
const reportEveryMs = 10 * 60_000

/** The witnesses of the configuration, with their metrics; undefined where there are none. */
export function openWitnesses(parts: OpenWitnesses): Witnesses | undefined {
  const { config, published, checkpointer, note, logger } = parts
  if (config.witnesses.length === 0) return undefined
  const witnesses = new Witnesses({
    peers: config.witnesses.map(({ name, url, vkey }) => ({ name, url, key: parseVerifierKey(vkey) })),
    quorum: quorumOf(config),
    mode: config.mode,
    every: config.witness_every,
    timeout: config.witness_timeout,
    patience: config.patience,
    report: reportEveryMs,
    prove: (old, size) => checkpointer().prove(old, size),
    cosign: cosignatures => checkpointer().cosign(cosignatures),
    note,
    onChange: state => say(state, logger),
    last: readIfThere(join(published, 'checkpoint.witnessed'))?.toString(),
  })
  measure(witnesses, parts.registry)
  return witnesses
}

/** The lines of a C2SP tlog-policy that name the witnesses and how many of them are needed. */
export function policyOf(config: AuditConfig): string {
  const { witnesses } = config
  if (witnesses.length === 0) return 'quorum none\n'
  const lines = witnesses.map(({ name, vkey, url }) => `witness ${name} ${vkey} ${url}\n`)
  const names = witnesses.map(each => each.name).join(' ')
  return `${lines.join('')}group witnesses/quorum ${quorumOf(config)} ${names}\nquorum witnesses/quorum\n`
}

function quorumOf({ quorum, witnesses }: AuditConfig): number {
  return quorum ?? Math.floor(witnesses.length / 2) + 1
}

function say(state: WitnessesState, logger: Logger): void {
  const witnesses = state.witnesses.map(({ name, result, detail }) => ({ name, result, detail }))
  const against = state.witnesses.some(({ result }) => result === 'forked' || result === 'ahead')
  if (against) logger.error('a witness has seen another history of the log', { witnesses })
  else if (state.overdue)
    logger.error('too few witnesses cosign the log', { quorum: state.quorum, witnesses })
  else logger.info('the witnesses cosign the log again', { witnesses })
}

function measure(witnesses: Witnesses, registry: Registry): void {
  const registers = [registry]
  const size = new Gauge({
    name: 'sallyport_witness_size',
    help: 'Entries of the largest head that the witness cosigned',
    labelNames: ['witness'],
    registers,
    collect: () => {
      for (const each of witnesses.state.witnesses) size.set({ witness: each.name }, each.size)
    },
  })
  const refusing = new Gauge({
    name: 'sallyport_witness_disputes',
    help: '1: the witness has seen another or a longer history of the log',
    labelNames: ['witness'],
    registers,
    collect: () => {
      for (const { name, result } of witnesses.state.witnesses)
        refusing.set({ witness: name }, result === 'forked' || result === 'ahead' ? 1 : 0)
    },
  })
  const overdue: Gauge = new Gauge({
    name: 'sallyport_witness_quorum_overdue',
    help: '1: no quorum has cosigned a head for longer than `audit.patience`',
    registers,
    collect: (): void => overdue.set(witnesses.state.overdue ? 1 : 0),
  })
  const at: Gauge = new Gauge({
    name: 'sallyport_witness_quorum_timestamp_seconds',
    help: 'When a quorum last cosigned one head, seconds since the epoch; 0: never',
    registers,
    collect: (): void => at.set((witnesses.state.quorumAt ?? 0) / 1000),
  })
}
