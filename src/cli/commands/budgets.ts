import type { Command } from 'commander'
import type { SubjectFacts } from '../../model/subject.ts'
import { connect } from '../client.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson, relativeTime, table } from '../output.ts'

interface BudgetView {
  readonly rule: string
  readonly unit: string
  readonly limit: number
  readonly per: string
  readonly subject?: SubjectFacts
  readonly connection?: string
  readonly operation?: string
  readonly used: number
  readonly until: string
}

function whose({ subject, connection, operation }: BudgetView): string {
  const acted = subject?.on_behalf_of
  const who = subject && (subject.email ?? subject.name ?? subject.id)
  const parts = [
    who,
    acted && `for ${acted.email ?? acted.name ?? acted.id}`,
    connection && `on ${connection}`,
    operation,
  ]
  return parts.filter(part => part !== undefined).join(' ') || 'all together'
}

function used({ used: amount, limit }: BudgetView): string {
  const share = amount / limit
  const text = `${amount} of ${limit} (${Math.floor(share * 100)} %)`
  return share >= 1 ? paint('red', text) : share >= 0.8 ? paint('yellow', text) : text
}

async function list(
  choice: { readonly identity?: string; readonly connection?: string; readonly rule?: string; limit: string },
  command: Command,
): Promise<void> {
  const options = globals(command)
  const query = { ...choice }
  const { budgets } = await (await connect(options)).call<{ budgets: BudgetView[] }>('/budgets', { query })
  if (options.json === true) return budgets.forEach(printJson)
  if (budgets.length === 0) return hint('nothing is counted: no rule with `budgets` has let anything pass')
  const rows = budgets.map(each => [
    each.rule,
    used(each),
    `${each.unit} a ${each.per}`,
    relativeTime(each.until),
    whose(each),
  ])
  print(table(['rule', 'used', 'of', 'full again', 'whose'], rows))
}

export function budgetsCommand(program: Command): void {
  program
    .command('budgets')
    .description('What identities have used of their budgets')
    .option('--identity <who>', 'id, e-mail or name')
    .option('--connection <name>', 'of budgets that are counted by connection')
    .option('--rule <name>', 'of one rule')
    .option('--limit <count>', 'most to show', '100')
    .action(list)
}
