import type { Command } from 'commander'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, verify, type VerifyOptions } from '../../audit/verify.ts'
import { readDataDirectory } from '../../config/local.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, print, printJson } from '../output.ts'

interface Choice {
  readonly dir?: string
  readonly logUrl?: string
  readonly receipt?: string
  readonly entry?: string
  readonly vkey?: string[]
  readonly policy?: string
  readonly since?: string[]
  readonly anchor?: string
  readonly complete?: boolean
  readonly blobs?: string
}

/** Without a source: the log of the gateway of this machine. Its own key is only as good as where it comes from. */
function sourceOf(
  { dir, logUrl, receipt }: Choice,
  config: string | undefined,
): { directory?: string; url?: string; receipt?: string } {
  if (receipt !== undefined) return { receipt }
  if (logUrl !== undefined) return { url: logUrl }
  if (dir !== undefined) return { directory: dir }
  const data = readDataDirectory(resolve(config ?? 'sallyport.yaml'))
  if (data === undefined) throw new Failure('give --dir, --log-url or --receipt', exit.usage)
  return { directory: join(data, 'log') }
}

async function run(choice: Choice, command: Command): Promise<void> {
  const options = globals(command)
  const source = sourceOf(choice, options.config)
  const { vkey = [], policy, since, anchor, complete, blobs, entry } = choice
  const beside = source.directory === undefined ? undefined : join(source.directory, 'log.vkey')
  const vkeys =
    vkey.length > 0 || policy !== undefined
      ? vkey
      : beside !== undefined && existsSync(beside)
        ? [beside]
        : []
  const given: VerifyOptions = {
    ...source,
    vkeys,
    ...(options.token === undefined ? {} : { token: options.token }),
    ...(policy === undefined ? {} : { policy }),
    ...(since === undefined ? {} : { since }),
    ...(anchor === undefined ? {} : { anchor }),
    ...(complete === undefined ? {} : { complete }),
    ...(blobs === undefined ? {} : { blobs }),
    ...(entry === undefined ? {} : { entry }),
    ...(process.stderr.isTTY
      ? { progress: (done, of) => void process.stderr.write(`\r${done} of ${of} entries\u001b[K`) }
      : {}),
  }
  let report: Awaited<ReturnType<typeof verify>>
  try {
    report = await verify(given)
  } catch (error) {
    if (error instanceof TypeError) throw new Failure(error.message, exit.usage)
    throw error
  }
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  if (options.json === true) printJson(report)
  else print(describe(report))
  if (vkey.length === 0 && policy === undefined && options.json !== true) {
    hint(
      'the key came from the log’s own directory; for proof, give --vkey or --policy with a key that you got elsewhere, and --since with an earlier checkpoint',
    )
  }
  process.exitCode = report.exit
}

export function verifyCommand(program: Command): void {
  program
    .command('verify')
    .description('Check the log: signature, tree, growth. Exit 0 sound, 1 tampered with, 2 can not tell')
    .option('--dir <directory>', 'a published log; default: the one of this machine')
    .option('--log-url <address>', 'a published log over HTTP')
    .option('--receipt <file>', 'a receipt of one entry, offline')
    .option('--entry <file>', 'with --receipt: the exact bytes of the entry')
    .option('--vkey <key...>', 'trusted key of the log, as text or file')
    .option('--policy <file>', 'a tlog-policy file: keys, witnesses, quorum')
    .option('--since <checkpoint...>', 'earlier checkpoints that the log must have grown from')
    .option('--anchor <file>', 'exported events (NDJSON) with checkpoints in them')
    .option('--complete', 'also check what the entries say: each intent has one end, numbers are gapless')
    .option('--blobs <directory>', 'also hash the recordings that entries name')
    .action(run)
}
