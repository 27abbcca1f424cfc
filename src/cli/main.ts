/** The `sallyport` command: one file per command, thin over the API. */
import { Command, CommanderError } from 'commander'
import { version } from '../version.ts'
import { exit, Failure } from './failure.ts'

type AddCommand = (program: Command) => void

/** Where each command is. Only the one that is asked for is loaded, so that the command starts at once. */
const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
  serve: async () => (await import('./commands/serve.ts')).serveCommand,
  quickstart: async () => (await import('./commands/quickstart.ts')).quickstartCommand,
  login: async () => (await import('./commands/login.ts')).loginCommand,
  token: async () => (await import('./commands/tokens.ts')).tokenCommand,
  users: async () => (await import('./commands/users.ts')).usersCommand,
  connect: async () => (await import('./commands/connect.ts')).connectCommand,
  connections: async () => (await import('./commands/connections.ts')).connectionsCommand,
  policy: async () => (await import('./commands/policy.ts')).policyCommand,
  approvals: async () => (await import('./commands/approvals.ts')).approvalsCommand,
  sessions: async () => (await import('./commands/sessions.ts')).sessionsCommand,
  audit: async () => (await import('./commands/audit.ts')).auditCommand,
  retention: async () => (await import('./commands/retention.ts')).retentionCommand,
  hold: async () => (await import('./commands/hold.ts')).holdCommand,
  erasure: async () => (await import('./commands/erasure.ts')).erasureCommand,
  compliance: async () => (await import('./commands/compliance.ts')).complianceCommand,
  verify: async () => (await import('./commands/verify.ts')).verifyCommand,
  keys: async () => (await import('./commands/keys.ts')).keysCommand,
  witness: async () => (await import('./commands/witness.ts')).witnessCommand,
  detections: async () => (await import('./commands/detections.ts')).detectionsCommand,
  tools: async () => (await import('./commands/tools.ts')).toolsCommand,
  identities: async () => (await import('./commands/identities.ts')).identitiesCommand,
  budgets: async () => (await import('./commands/budgets.ts')).budgetsCommand,
  export: async () => (await import('./commands/export.ts')).exportCommand,
  datadog: async () => (await import('./commands/datadog.ts')).datadogCommand,
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
}
const aliases: Readonly<Record<string, string>> = { logout: 'login', whoami: 'login' }

const program = new Command('sallyport')
  .description('A Layer 7 access gateway for AI agents and the people who own them')
  .version(version)
  .option('--config <file>', 'configuration file (default: sallyport.yaml)')
  .option(
    '--url <address>',
    'gateway to talk to; also SALLYPORT_URL. Default: the one of this machine, or of the last login',
  )
  .option('--token <token>', 'token to talk to it with; also SALLYPORT_TOKEN')
  .option('--json', 'print JSON, one object a line')
  .showHelpAfterError('(--help tells more)')
  .exitOverride()

/** The first word that is no option of the command itself. */
function askedFor(words: readonly string[]): string | undefined {
  const valued = new Set(['--config', '--url', '--token'])
  for (let i = 0; i < words.length; i++) {
    if (valued.has(words[i]!)) i++
    else if (!words[i]!.startsWith('-')) return words[i]
  }
  return undefined
}

const asked = askedFor(process.argv.slice(2))
const one = asked === undefined ? undefined : commands[aliases[asked] ?? asked]
const adds =
  one === undefined ? await Promise.all(Object.values(commands).map(load => load())) : [await one()]
for (const add of adds) add(program)
for (const command of [...program.commands, ...program.commands.flatMap(each => each.commands)])
  command.exitOverride()

// A reader that has seen enough (`| head`) ends the command without a complaint.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exit.ok)
})

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exit.ok : exit.usage
  } else if (error instanceof Failure) {
    process.stderr.write(`sallyport: ${error.message}\n`)
    process.exitCode = error.exitCode
  } else {
    process.stderr.write(
      `sallyport: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    )
    process.exitCode = exit.failed
  }
}
