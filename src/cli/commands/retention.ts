import type { Command } from 'commander'
import { connect } from '../client.ts'
import { globals } from '../globals.ts'
import { hint, print, printJson, relativeTime } from '../output.ts'

interface RunView {
  readonly at: string
  readonly recordings: { readonly sessions: number; readonly blobs: number; readonly held: number }
  readonly entries: { readonly removed: number; readonly first: number; readonly waits_for: string }
}

interface RetentionView {
  readonly policy: {
    readonly entries: { readonly keep_ms: number }
    readonly minimum: { readonly entries_ms: number; readonly recordings_ms: number }
    readonly recordings: readonly ({ readonly keep_ms: number } & Readonly<Record<string, unknown>>)[]
  }
  readonly first: string
  readonly size: string
  readonly disk: { readonly state: string; readonly free_percent: number }
  readonly last?: RunView
}

async function status(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const view = await (await connect(options)).call<RetentionView>('/retention')
  if (options.json === true) return printJson(view)
  const { policy, first, size, disk, last } = view
  print(`entries     ${first} to ${Number(size) - 1}; kept for ${days(policy.entries.keep_ms)}`)
  for (const { keep_ms: keep, ...which } of policy.recordings)
    print(`recordings  ${days(keep)} where ${JSON.stringify(which)}`)
  print(
    `recordings  ${days(policy.entries.keep_ms)} ${policy.recordings.length > 0 ? 'otherwise' : ''}`.trimEnd(),
  )
  print(
    `minimum     entries ${days(policy.minimum.entries_ms)}, recordings ${days(policy.minimum.recordings_ms)}`,
  )
  print(`disk        ${disk.free_percent} % free: ${disk.state}`)
  if (last !== undefined) print(`last look   ${relativeTime(last.at)}: ${describe(last)}`)
}

async function run(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const done = await (await connect(options)).call<RunView>('/retention/run', { method: 'POST', body: {} })
  if (options.json === true) return printJson(done)
  hint(describe(done))
}

function describe({ recordings, entries }: RunView): string {
  const held = recordings.held > 0 ? `, ${recordings.held} kept for a legal hold` : ''
  return `removed recordings of ${recordings.sessions} sessions${held}, and ${entries.removed} entries; the next waits for ${entries.waits_for}`
}

function days(ms: number): string {
  return `${Math.round(ms / 8_640_000) / 10} d`
}

export function retentionCommand(program: Command): void {
  const retention = program
    .command('retention')
    .description('How long what is kept, and removing what is past its time')
  retention.command('status').description('The policy, and what the last look removed').action(status)
  retention.command('run').description('Remove what is past its time now').action(run)
}
