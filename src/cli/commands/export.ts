import type { Command } from 'commander'
import type { Reconciliation } from '../../export/reconciler.ts'
import type { KeptFinding } from '../../export/kept.ts'
import type { SinkStatus } from '../../export/status.ts'
import { connect } from '../client.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson, relativeTime, table } from '../output.ts'

async function status(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const { sinks, kept } = await (await connect(options)).call<{ sinks: SinkStatus[]; kept: KeptFinding[] }>(
    '/export',
  )
  if (options.json === true) sinks.forEach(printJson)
  else if (sinks.length === 0) hint('no sinks are configured')
  else {
    const rows = sinks.map(each => [
      each.name,
      each.type,
      each.state === 'running' ? paint('green', each.state) : paint('yellow', each.state),
      String(each.lag.entries),
      `${each.lag.seconds.toFixed(1)} s`,
      String(each.counts.sent),
      String(each.counts.retried),
      String(each.counts.dead_lettered),
      comparedText(each.compared),
      each.last_error === undefined ? '' : `${each.last_error.detail} (${relativeTime(each.last_error.at)})`,
    ])
    print(
      table(
        ['sink', 'type', 'state', 'behind', 'oldest', 'sent', 'retried', 'dead', 'compared', 'last error'],
        rows,
      ),
    )
    for (const { where, state: is, detail } of kept)
      print(`${is === 'ok' ? '    ' : paint('yellow', 'warn')}  ${where}: ${detail}`)
  }
  if (sinks.some(each => each.state !== 'running')) process.exitCode = exit.failed
}

function comparedText(compared: SinkStatus['compared']): string {
  if (compared === undefined) return ''
  const { equal, error, at } = compared
  if (error !== undefined) return paint('yellow', `not possible: ${error}`)
  return `${equal === true ? 'equal' : paint('red', 'not equal')} (${relativeTime(at)})`
}

interface DeadLetterPage {
  readonly letters: readonly object[]
  readonly next?: string
}

/** All of them, a page at a time, so that ten thousand are no more in memory than a hundred. */
async function deadLetters(sink: string, _: unknown, command: Command): Promise<void> {
  const path = `/export/${encodeURIComponent(sink)}/dead-letters`
  const api = await connect(globals(command))
  let after: string | undefined
  do {
    const query = after === undefined ? '' : `?after=${encodeURIComponent(after)}`
    const { letters, next } = await api.call<DeadLetterPage>(`${path}${query}`)
    if (letters.length === 0 && after === undefined) hint('no dead letters')
    for (const letter of letters) printJson(letter)
    after = next
  } while (after !== undefined)
}

async function deadLetter(this: Command, sink: string, index: string): Promise<void> {
  const path = `/export/${encodeURIComponent(sink)}/dead-letters/${encodeURIComponent(index)}`
  printJson(await (await connect(globals(this))).call(path))
}

async function resend(this: Command, sink: string, index: string): Promise<void> {
  const path = `/export/${encodeURIComponent(sink)}/dead-letters/${encodeURIComponent(index)}/resend`
  const result = await (await connect(globals(this))).call<{ accepted: boolean; detail?: string }>(path, {
    method: 'POST',
  })
  printJson(result)
  if (!result.accepted) process.exitCode = exit.failed
}

async function backfill(
  sink: string,
  range: { readonly from: string; readonly to?: string },
  command: Command,
): Promise<void> {
  const body = { from: Number(range.from), ...(range.to === undefined ? {} : { to: Number(range.to) }) }
  const path = `/export/${encodeURIComponent(sink)}/backfill`
  printJson(await (await connect(globals(command))).call(path, { method: 'POST', body }))
}

/** Longer than any comparison that a person waits for. */
const patience = 24 * 3_600_000

async function reconcile(
  sink: string,
  choice: { readonly since?: string; readonly until?: string; readonly dryRun?: boolean },
  command: Command,
): Promise<void> {
  const options = globals(command)
  const { since, until, dryRun = false } = choice
  const body = { ...(since === undefined ? {} : { since }), ...(until === undefined ? {} : { until }) }
  const path = `/export/${encodeURIComponent(sink)}/${dryRun ? 'compare' : 'reconcile'}`
  let found: Reconciliation
  try {
    found = await (await connect(options)).call<Reconciliation>(path, { method: 'POST', body, patience })
  } catch (error) {
    // Not compared is not the same as different.
    if (error instanceof Failure && error.exitCode === exit.failed)
      throw new Failure(error.message, exit.usage)
    throw error
  }
  if (options.json === true) printJson(found)
  else showComparison(sink, found)
  if (!found.equal) process.exitCode = exit.failed
}

function showComparison(sink: string, found: Reconciliation): void {
  const { since, until, entries, held, stubs, duplicates, sent, examples } = found
  print(`${sink}, ${since} to ${until}`)
  print(`  ${entries} entries, ${held} held as they are in the log`)
  if (stubs > 0) print(`  ${stubs} as stubs: see \`sallyport export dead-letters ${sink}\``)
  if (duplicates > 0) print(`  ${duplicates} arrived more than once, which is no fault`)
  for (const what of ['missing', 'altered', 'foreign'] as const) {
    if (found[what] > 0) print(paint('red', `  ${found[what]} ${what}: ${examples[what].join(', ')}`))
  }
  if (sent !== undefined && sent > 0) print(`  ${sent} were sent again`)
  print(found.equal ? paint('green', '  equal') : paint('red', '  not equal'))
}

export function exportCommand(program: Command): void {
  const shipping = program.command('export').description('How the log reaches its sinks')
  shipping
    .command('status')
    .description('Lag, last error and counts of each sink; exit 1 when one is not running')
    .action(status)
  shipping
    .command('dead-letters <sink>')
    .description('Records that the sink would not take')
    .action(deadLetters)
  shipping
    .command('dead-letter <sink> <index>')
    .description('One of them: why, the entry, and the event as it would be sent now')
    .action(deadLetter)
  shipping.command('resend <sink> <index>').description('Send a dead letter once more').action(resend)
  shipping
    .command('backfill <sink>')
    .description('Send a range of entries again; the cursor stays')
    .requiredOption('--from <index>', 'first entry')
    .option('--to <index>', 'up to this entry, exclusive; default: the end')
    .action(backfill)
  shipping
    .command('reconcile <sink>')
    .description(
      'Read back what the sink holds, compare it with the log, send what is missing; exit 0 equal, 1 not, 2 could not be compared',
    )
    .option(
      '--since <time>',
      'from this time: ISO 8601, or an age such as 2h, 7d; default: a day before --until',
    )
    .option('--until <time>', 'up to this time; default: 15m, since what was just sent is not searchable yet')
    .option('--dry-run', 'compare; send nothing and write nothing')
    .action(reconcile)
}
