/**
 * How long the events are kept, here and at the far end, against what a requirement asks. By the configuration, and,
 * where the far end was asked, by what it said.
 */
import type { Config } from '../config/schema.ts'
import { requirements } from '../config/requirements.ts'
import type { SinkConfigOf } from '../config/sinks.ts'

const dayMs = 86_400_000

/** What the far end says of itself; members that it did not say are absent. */
export interface KeptThere {
  /** Days in which its index can be searched, tiers together. */
  readonly searchableDays?: number
  readonly archived?: boolean
}

export interface KeptFinding {
  /** `here`, or the name of a sink. */
  readonly where: string
  readonly state: 'ok' | 'warn'
  readonly detail: string
}

type Kept = Pick<Config, 'retention' | 'sinks'>

/** One finding for each place and each thing that does not match. `there`: by the name of a sink. */
export function keptFindings(config: Kept, there: ReadonlyMap<string, KeptThere> = new Map()): KeptFinding[] {
  const here = Math.floor(config.retention.entries.keep / dayMs)
  const findings: KeptFinding[] = [{ where: 'here', state: 'ok', detail: `entries are kept ${days(here)}` }]
  for (const name of config.retention.requirements) {
    const asked = requirements[name]
    if (here < asked.keepDays)
      findings.push({
        where: 'here',
        state: 'warn',
        detail: `${name} asks for ${days(asked.keepDays)} (${asked.source})`,
      })
  }
  for (const sink of config.sinks) {
    if (sink.type === 'datadog') findings.push(...ofDatadog(config, sink, there.get(sink.name)))
  }
  return findings
}

function ofDatadog(config: Kept, sink: SinkConfigOf<'datadog'>, there: KeptThere = {}): KeptFinding[] {
  const where = sink.name
  const { index, archive } = sink.setup
  const wanted = Math.max(index.retention_days, index.flex_days ?? 0)
  const searchable = there.searchableDays ?? wanted
  const archived = there.archived ?? archive !== undefined
  const here = Math.floor(config.retention.entries.keep / dayMs)
  const warn = (detail: string): KeptFinding => ({ where, state: 'warn', detail })
  const said = there.searchableDays === undefined ? 'by the configuration' : 'as Datadog says'
  const findings: KeptFinding[] = [
    {
      where,
      state: 'ok',
      detail: `searchable ${days(searchable)}, ${archived ? 'archived' : 'not archived'} (${said})`,
    },
  ]
  if (searchable !== wanted)
    findings.push(warn(`the configuration has ${days(wanted)}: run \`sallyport datadog diff\``))
  if (there.archived === false && archive !== undefined)
    findings.push(warn('the archive of the configuration is not there: run `sallyport datadog install`'))
  if (searchable > here)
    findings.push(
      warn(`outlives the log by ${days(searchable - here)}, in which nothing there can be proved here`),
    )
  for (const name of config.retention.requirements) {
    const { keepDays, atHandDays, source } = requirements[name]
    const elsewhere = (needed: number) => (here >= needed ? '; the log here has them' : '')
    if (searchable < atHandDays)
      findings.push(warn(`${name} asks for ${days(atHandDays)} at hand (${source})${elsewhere(atHandDays)}`))
    if (searchable < keepDays && !archived)
      findings.push(
        warn(`${name} asks for ${days(keepDays)}, and there is no archive (${source})${elsewhere(keepDays)}`),
      )
  }
  return findings
}

function days(count: number): string {
  return count === 1 ? '1 day' : `${count} days`
}
