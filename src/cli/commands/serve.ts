import type { Command } from 'commander'
import { createLogger } from '../../log.ts'
import { startGateway } from '../../main.ts'
import { globals } from '../globals.ts'
import { startFailure } from '../start-failure.ts'

const faultGraceMs = 1000

async function serve(_: unknown, command: Command): Promise<void> {
  const { config = 'sallyport.yaml' } = globals(command)
  const logger = createLogger()
  const gateway = await startGateway({
    config,
    logger,
    // Whatever could not be trusted on disk is judged afresh at the next start; going on would be guessing.
    onFault: error => {
      logger.error('the log can not be trusted any more; stopping', { error: String(error) })
      setTimeout(() => process.exit(70), faultGraceMs)
    },
    onFirstLink: link => process.stdout.write(firstLinkText(link)),
  }).catch((error: unknown) => {
    throw startFailure(error)
  })
  const stop = (signal: string): void => {
    logger.info('stopping', { signal })
    void gateway.close().then(() => process.exit(0))
  }
  process.once('SIGINT', () => stop('SIGINT'))
  process.once('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGHUP', () => void gateway.reload())
}

function firstLinkText(link: string): string {
  return `\nNobody can sign in yet. Whoever opens this link first becomes the administrator; it works once, for an hour:\n\n  ${link}\n\n`
}

export function serveCommand(program: Command): void {
  program
    .command('serve')
    .description('Run the gateway. SIGHUP, or a change of the file, takes up the configuration again')
    .action(serve)
}
