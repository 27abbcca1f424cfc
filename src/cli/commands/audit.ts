import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import type { Entry } from '../../audit/events.ts'
import { connect, lines } from '../client.ts'
import { BlobFolder } from '../fetch-blobs.ts'
import { entryLine, entryText } from '../entry-text.ts'
import { globals } from '../globals.ts'
import { hint, print, printJson } from '../output.ts'

interface Filters {
  readonly since?: string
  readonly until?: string
  readonly identity?: string
  readonly connection?: string
  readonly operation?: string
  readonly outcome?: string
  readonly session?: string
  readonly approval?: string
  readonly trace?: string
  readonly kind?: string[]
  readonly limit?: string
}

function withFilters(command: Command): Command {
  return command
    .option('--since <time>', 'from this time: ISO 8601, or an age such as 15m, 2h, 7d')
    .option('--until <time>', 'before this time')
    .option('--identity <who>', 'id, e-mail or name of the subject or the person it acts for')
    .option('--connection <name>', 'a connection')
    .option('--operation <name>', 'an operation, `*` allowed')
    .option('--outcome <outcome>', 'success, failure, denied or unknown')
    .option('--session <id>', 'a session')
    .option('--approval <id>', 'an approval')
    .option('--trace <id>', 'a trace (W3C, 32 hex digits): one story over all connections')
    .option('--kind <kind...>', 'entry kinds, such as action.denied')
}

function query(
  filters: Filters,
  text: readonly string[] = [],
): Record<string, string | readonly string[] | undefined> {
  const { since, until, identity, connection, operation, outcome, session, approval, trace, kind } = filters
  return {
    since,
    until,
    identity,
    connection,
    operation,
    outcome,
    session,
    approval,
    trace,
    kind,
    ...(text.length === 0 ? {} : { text: text.join(' ') }),
  }
}

interface Page {
  readonly entries: Entry[]
  readonly next?: string
}

/** Whether an entry of the live feed passes the filters that can be told from it alone. */
function passes(entry: Entry, filters: Filters): boolean {
  const { identity, connection, operation, outcome, session, trace, kind } = filters
  if (connection !== undefined && entry.connection?.name !== connection) return false
  if (outcome !== undefined && entry.outcome !== outcome) return false
  if (session !== undefined && entry.session !== session) return false
  if (trace !== undefined && traceOf(entry) !== trace) return false
  if (kind !== undefined && !kind.includes(entry.kind)) return false
  if (operation !== undefined && !globMatches(operation, entry.operation ?? '')) return false
  if (identity === undefined) return true
  const { subject } = entry
  const names = [
    subject?.id,
    subject?.email,
    subject?.name,
    subject?.on_behalf_of?.id,
    subject?.on_behalf_of?.email,
  ]
  return names.some(name => name?.toLowerCase() === identity.toLowerCase())
}

function traceOf({ trace, ...entry }: Entry): string | undefined {
  const { trace: claimed } = (entry['claimed'] ?? {}) as { trace?: { trace_id?: string } }
  return trace?.trace_id ?? claimed?.trace_id
}

/** `*` stands for any text. Walks both once, so no pattern is slow. */
function globMatches(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === text
  if (!text.startsWith(first)) return false
  let at = first.length
  const last = rest.pop()!
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return text.length - at >= last.length && text.endsWith(last)
}

async function tail(
  filters: Filters & { readonly from?: string; readonly heartbeats?: boolean },
  command: Command,
): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const stream = await api.stream('/audit/stream', { query: { from: filters.from } })
  hint(`following the log of ${api.where}; Ctrl-C ends it`)
  for await (const line of lines(stream)) {
    if (!line.startsWith('data: ')) continue
    const entry = JSON.parse(line.slice(6)) as Entry
    if (entry.kind === 'heartbeat' && filters.heartbeats !== true) continue
    if (!passes(entry, filters)) continue
    if (options.json === true) printJson(entry)
    else print(entryLine(entry))
  }
}

async function search(text: string[], filters: Filters, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const most = Number(filters.limit ?? 50)
  let after: string | undefined
  let shown = 0
  const found: Entry[] = []
  while (shown < most) {
    const limit = Math.min(1000, most - shown)
    const page: Page = await api.call('/audit/entries', {
      query: { ...query(filters, text), order: 'desc', limit, after },
    })
    found.push(...page.entries)
    shown += page.entries.length
    after = page.next
    if (after === undefined) break
  }
  for (const entry of options.json === true ? found : found.reverse()) {
    if (options.json === true) printJson(entry)
    else print(entryLine(entry))
  }
  if (found.length === 0) hint('nothing matches')
  if (after !== undefined) hint(`there is more: --limit ${most * 2}`)
}

async function show(index: string, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const entry = await (await connect(options)).call<Entry>(`/audit/entries/${encodeURIComponent(index)}`)
  if (options.json === true) printJson(entry)
  else print(entryText(entry))
}

async function exportEntries(
  filters: Filters & { readonly output?: string; readonly blobs?: string },
  command: Command,
): Promise<void> {
  const { output, blobs } = filters
  const api = await connect(globals(command))
  const folder = blobs === undefined ? undefined : new BlobFolder(api, blobs)
  const entries = passing(await api.stream('/audit/export', { query: query(filters) }), folder)
  if (output === undefined) {
    for await (const chunk of entries) process.stdout.write(chunk)
  } else {
    await pipeline(entries, createWriteStream(output, { mode: 0o600 }))
    hint(`wrote ${output}`)
  }
  if (folder !== undefined) {
    hint(`fetched ${folder.fetched} recordings into ${blobs}, encrypted as they are kept`)
    if (folder.missing > 0) hint(`${folder.missing} recordings are not there any more`)
  }
}

/** The entries as they come; with a folder, a line at a time, each after the recording that it names. */
async function* passing(
  stream: AsyncIterable<Buffer>,
  folder: BlobFolder | undefined,
): AsyncGenerator<Uint8Array | string> {
  if (folder === undefined) {
    yield* stream
    return
  }
  for await (const line of lines(stream)) {
    if (line !== '') await folder.take(JSON.parse(line) as Entry)
    yield `${line}\n`
  }
}

async function receipt(
  index: string,
  { output }: { readonly output?: string },
  command: Command,
): Promise<void> {
  const stream = await (await connect(globals(command))).stream(
    `/audit/entries/${encodeURIComponent(index)}/receipt`,
  )
  if (output === undefined) for await (const chunk of stream) process.stdout.write(chunk)
  else await pipeline(stream, createWriteStream(output))
}

export function auditCommand(program: Command): void {
  const audit = program.command('audit').description('Read the audit log')
  withFilters(audit.command('tail').description('Show entries as they become durable'))
    .option('--from <index>', 'begin at this entry; 0 shows the whole log first')
    .option('--heartbeats', 'show heartbeats too')
    .action(tail)
  withFilters(
    audit.command('search [words...]').description('Find entries; all filters and words must match'),
  )
    .option('--limit <n>', 'most entries', '50')
    .action(search)
  audit.command('show <index>').description('Show one entry').action(show)
  withFilters(
    audit
      .command('export')
      .description('Write all matching entries as NDJSON, exactly as they are in the log'),
  )
    .option('-o, --output <file>', 'write to a file')
    .option('--blobs <directory>', 'also fetch the recordings they name, as ciphertext, for `verify --blobs`')
    .action(exportEntries)
  audit
    .command('receipt <index>')
    .description('Write the proof (.tlog-proof) that an entry is in the log; it verifies offline')
    .option('-o, --output <file>', 'write to a file')
    .action(receipt)
}
