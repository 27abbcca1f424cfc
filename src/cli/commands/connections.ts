import type { Command } from 'commander'
import { connect } from '../client.ts'
import { exit } from '../failure.ts'
import { globals } from '../globals.ts'
import { paint, print, printJson, table } from '../output.ts'
import { addAuthorize } from './connections-authorize.ts'

interface ConnectionView {
  readonly name: string
  readonly protocol: string
  readonly sensitivity: string
  readonly labels: Readonly<Record<string, string>>
  /** Absent where no listener serves it. */
  readonly url?: string
}

async function list(choice: { readonly check?: boolean }, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const { connections } = await api.call<{ connections: ConnectionView[] }>('/connections')
  const checked = await Promise.all(
    connections.map(async each => {
      if (choice.check !== true) return { ...each, reachable: undefined }
      const path = `/connections/${encodeURIComponent(each.name)}/check`
      return { ...each, reachable: await api.call<{ ok: boolean; detail: string }>(path, { method: 'POST' }) }
    }),
  )
  if (options.json === true) checked.forEach(printJson)
  else {
    const rows = checked.map(each => [
      each.name,
      each.protocol,
      each.sensitivity,
      Object.entries(each.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
      ...(each.reachable === undefined
        ? []
        : [each.reachable.ok ? paint('green', 'reachable') : paint('red', each.reachable.detail)]),
      each.url ?? paint('dim', `sallyport connect ${each.name}`),
    ])
    const heads = [
      'connection',
      'protocol',
      'sensitivity',
      'labels',
      ...(choice.check === true ? ['upstream'] : []),
      'base address',
    ]
    print(table(heads, rows))
  }
  if (checked.some(each => each.reachable?.ok === false)) process.exitCode = exit.failed
}

export function connectionsCommand(program: Command): void {
  const connections = program
    .command('connections')
    .description('The connections and the base addresses that clients use')
    .option('--check', 'also see whether each upstream can be reached')
    .action(list)
  addAuthorize(connections)
}
