/** The `sallyport` command: one file per command, thin over the API. */
import { Command, CommanderError } from 'commander'
import { version } from '../version.ts'
import { approvalsCommand } from './commands/approvals.ts'
import { auditCommand } from './commands/audit.ts'
import { connectionsCommand } from './commands/connections.ts'
import { doctorCommand } from './commands/doctor.ts'
import { exportCommand } from './commands/export.ts'
import { loginCommand } from './commands/login.ts'
import { policyCommand } from './commands/policy.ts'
import { serveCommand } from './commands/serve.ts'
import { sessionsCommand } from './commands/sessions.ts'
import { tokenCommand } from './commands/tokens.ts'
import { verifyCommand } from './commands/verify.ts'
import { exit, Failure } from './failure.ts'

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

for (const add of [
  serveCommand,
  loginCommand,
  tokenCommand,
  connectionsCommand,
  policyCommand,
  approvalsCommand,
  sessionsCommand,
  auditCommand,
  verifyCommand,
  exportCommand,
  doctorCommand,
]) {
  add(program)
}
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
