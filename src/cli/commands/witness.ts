import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { StorageLockedError } from '../../storage/storage.ts'
import { serveWitness } from '../../witness/serve-witness.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, print, printJson } from '../output.ts'

interface Choice {
  readonly name: string
  readonly log: string[]
  readonly state: string
  readonly listen: string
}

async function run({ name, log, state, listen }: Choice, command: Command): Promise<void> {
  const split = listen.lastIndexOf(':')
  const host = listen.slice(0, Math.max(0, split)).replace(/^\[(.*)\]$/, '$1')
  const port = Number(listen.slice(split + 1))
  if (split < 0 || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Failure('--listen takes an address and a port, such as 127.0.0.1:7380', exit.usage)
  const options = {
    name,
    logs: log.flatMap(readKeys),
    directory: state,
    host: host === '' ? '0.0.0.0' : host,
    port,
    // What could not be kept may or may not be on disk: only a fresh start can tell.
    onFault: () => setTimeout(() => process.exit(70), 100),
  }
  const witness = await serveWitness(options).catch((error: unknown) => {
    if (error instanceof TypeError || error instanceof StorageLockedError)
      throw new Failure(error.message, exit.usage)
    throw error
  })
  if (globals(command).json === true)
    printJson({ url: witness.url, vkey: witness.vkey, created: witness.created })
  else {
    print(witness.vkey)
    hint(
      `witnessing ${options.logs.length} keys at ${witness.url}; give the key above to those who should trust it`,
    )
  }
  const stop = (): void => void witness.close().then(() => process.exit(0))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
}

/** A key as text, or the keys in a file such as `log.vkey`. */
function readKeys(given: string): string[] {
  if (/^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/.test(given)) return [given]
  try {
    return readFileSync(given, 'utf8').trim().split('\n')
  } catch {
    throw new Failure(`--log: neither a key nor a file with keys: ${given}`, exit.usage)
  }
}

export function witnessCommand(program: Command): void {
  program
    .command('witness')
    .description('Run a witness (C2SP tlog-witness): it cosigns checkpoints of logs that only ever grow')
    .requiredOption('--name <name>', 'its name, a schema-less URL such as witness.example.com')
    .requiredOption('--log <vkey...>', 'keys of the logs that it witnesses, as text or as files of them')
    .requiredOption('--state <directory>', 'holds its key and what it remembers; made at the first start')
    .option('--listen <address>', 'where logs and monitors reach it', '127.0.0.1:7380')
    .action(run)
}
