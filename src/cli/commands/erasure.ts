import type { Command } from 'commander'
import { connect } from '../client.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, print, printJson } from '../output.ts'

interface ErasureView {
  readonly id?: string
  readonly sessions: readonly string[]
  readonly held: readonly { readonly session: string; readonly hold: string }[]
  readonly young: readonly string[]
  readonly keys?: number
  readonly entries?: readonly string[]
}

interface Choice {
  readonly session?: string
  readonly person?: string
  readonly basis: string
  readonly exceptProtected?: boolean
  readonly yes?: boolean
}

async function erase(choice: Choice, command: Command): Promise<void> {
  const { session, person, basis, exceptProtected = false, yes = false } = choice
  if ((session === undefined) === (person === undefined))
    throw new Failure('give either --session or --person', exit.usage)
  const options = globals(command)
  const of = session === undefined ? { person } : { session }
  const body = { of, basis, except_protected: exceptProtected, dry_run: !yes }
  const result = await (await connect(options)).call<ErasureView>('/erasures', { method: 'POST', body })
  if (options.json === true) return printJson(result)
  for (const each of result.sessions) print(each)
  for (const each of result.held) hint(`${each.session} is under the legal hold ${each.hold}`)
  for (const each of result.young) hint(`${each} is younger than the legal minimum`)
  if (!yes) hint(`${result.sessions.length} sessions would be erased, for good. Say --yes to do it`)
  else
    hint(
      `erased ${result.sessions.length} sessions (${result.keys} keys); entries ${(result.entries ?? []).join(', ')}`,
    )
}

export function erasureCommand(program: Command): void {
  program
    .command('erasure')
    .description(
      'Make the recordings of a session or of a person unreadable for good. Entries and proofs stay. Without --yes ' +
        'it only says what it would do',
    )
    .option('--session <id>', 'one session')
    .option('--person <who>', 'id or e-mail address, also as whom an agent acts for')
    .requiredOption('--basis <words>', 'the legal basis, in words that name nobody: it stays in the log')
    .option('--except-protected', 'leave out what a hold or the legal minimum protects, rather than refuse')
    .option('--yes', 'do it')
    .action(erase)
}
