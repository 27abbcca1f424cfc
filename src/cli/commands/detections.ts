import type { Command } from 'commander'
import type { Entry } from '../../audit/events.ts'
import { connect } from '../client.ts'
import { entryText } from '../entry-text.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson, relativeTime, table, visible } from '../output.ts'

interface Choice {
  readonly identity?: string
  readonly connection?: string
  readonly kind?: string
  readonly since?: string
  readonly until?: string
  readonly limit: string
}

function who({ subject }: Entry): string {
  const own = subject?.email ?? subject?.name ?? subject?.id ?? ''
  const acted = subject?.on_behalf_of
  return acted === undefined ? own : `${own} for ${acted.email ?? acted.name ?? acted.id}`
}

async function list(choice: Choice, command: Command): Promise<void> {
  const options = globals(command)
  const { entries } = await (await connect(options)).call<{ entries: Entry[] }>('/detections', {
    query: { ...choice },
  })
  if (options.json === true) return entries.forEach(printJson)
  if (entries.length === 0) return hint('nothing was noticed')
  const rows = entries.map(entry => {
    const { words = '', answer = '' } = entry['detection'] as { words?: string; answer?: string }
    const kind = entry.kind.replace(/^detection\.|_found$/g, '').replaceAll('_', ' ')
    return [
      entry.seq,
      relativeTime(entry.time),
      kind,
      visible(who(entry)),
      paint('red', answer),
      visible(words),
    ]
  })
  print(table(['entry', 'when', 'what', 'who', 'answer', 'in words'], rows))
}

async function show(index: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const entry = await (await connect(options)).call<Entry>(`/detections/${encodeURIComponent(index)}`)
  if (options.json === true) printJson(entry)
  else print(entryText(entry))
}

export function detectionsCommand(program: Command): void {
  const detections = program
    .command('detections')
    .description('What was noticed of identities while they acted')
  detections
    .command('list')
    .description('Newest first')
    .option('--identity <who>', 'id, e-mail or name, of the identity or of the person it acts for')
    .option('--connection <name>', 'on one connection')
    .option('--kind <kinds>', 'surge, volume, first_use, sweep, off_hours, denial_streak, silence')
    .option('--since <when>', 'ISO 8601, or an age such as 2h')
    .option('--until <when>', 'before this time')
    .option('--limit <count>', 'most to show', '50')
    .action(list)
  detections.command('show <entry>').description('One, in full').action(show)
}
