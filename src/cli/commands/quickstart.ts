import type { Command } from 'commander'

export function quickstartCommand(program: Command): void {
  program
    .command('quickstart')
    .description('Run the main job on this machine with a practice identity provider and a practice Datadog')
    .option('--keep', 'leave everything up when the story is told')
    .action(async (choice: { readonly keep?: boolean }) => {
      const { runQuickstart } = await import('../../../practice/quickstart/quickstart.ts')
      await runQuickstart({ keep: choice.keep === true })
    })
}
