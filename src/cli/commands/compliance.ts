import type { Command } from 'commander'
import { connect } from '../client.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson } from '../output.ts'

interface RowView {
  readonly framework: string
  readonly control: string
  readonly asks: string
  readonly state: 'met' | 'partly' | 'not-met' | 'unknown'
  readonly because: string
  readonly shown_by: string
}

interface ReportView {
  readonly at: string
  readonly version: string
  readonly log: string
  readonly rows: readonly RowView[]
}

const styles = { met: 'green', partly: 'yellow', 'not-met': 'red', unknown: 'magenta' } as const

async function report(choice: { framework?: string; state?: string }, command: Command): Promise<void> {
  const options = globals(command)
  const view = await (await connect(options)).call<ReportView>('/compliance')
  const { framework = '', state } = choice
  const rows = view.rows.filter(
    each =>
      each.framework.toLowerCase().includes(framework.toLowerCase()) &&
      (state === undefined || each.state === state),
  )
  if (options.json === true) return printJson({ ...view, rows })
  print(`${view.log}, sallyport ${view.version}, ${view.at}`)
  let last = ''
  for (const row of rows) {
    if (row.framework !== last) print(`\n${paint('bold', row.framework)}`)
    last = row.framework
    print(`  ${paint(styles[row.state], row.state.padEnd(7))}  ${row.control}: ${row.asks}`)
    print(`           ${row.because}`)
    print(paint('dim', `           $ ${row.shown_by}`))
  }
  hint(
    '\nwhat this gateway does and is configured to do, not an audit: whether it suffices is for your auditor to say',
  )
}

export function complianceCommand(program: Command): void {
  program
    .command('compliance')
    .description('What is on, as frameworks ask for it')
    .command('report')
    .description(
      'Requirement by requirement: met, partly, not met or unknown, why, and the command that shows it',
    )
    .option('--framework <words>', 'only frameworks whose name has these words')
    .option('--state <state>', 'met, partly, not-met or unknown')
    .action(report)
}
