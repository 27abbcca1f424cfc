import type { Command } from 'commander'
import type { GlobalOptions } from './client.ts'

/** The options that stand before or after any command. */
export function globals(command: Command): GlobalOptions {
  return command.optsWithGlobals<GlobalOptions>()
}
