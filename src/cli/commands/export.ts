import type { Command } from 'commander'
import type { SinkStatus } from '../../export/status.ts'
import { connect } from '../client.ts'
import { exit } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson, relativeTime, table } from '../output.ts'

async function status(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const { sinks } = await (await connect(options)).call<{ sinks: SinkStatus[] }>('/export')
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
      each.last_error === undefined ? '' : `${each.last_error.detail} (${relativeTime(each.last_error.at)})`,
    ])
    print(table(['sink', 'type', 'state', 'behind', 'oldest', 'sent', 'retried', 'dead', 'last error'], rows))
  }
  if (sinks.some(each => each.state !== 'running')) process.exitCode = exit.failed
}

async function deadLetters(sink: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const path = `/export/${encodeURIComponent(sink)}/dead-letters`
  const { letters } = await (await connect(options)).call<{ letters: { index: number; reason?: string }[] }>(
    path,
  )
  if (letters.length === 0) hint('no dead letters')
  for (const letter of letters) printJson(letter)
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
}
