import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { connect } from '../client.ts'
import { Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson } from '../output.ts'

interface Choice {
  readonly credential?: string
  readonly code?: string
  readonly withdraw?: boolean
}

/** Lets the gateway use an upstream in the caller's name: shows where to go, then asks for the code of the page. */
async function authorize(name: string, choice: Choice, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const path = `/connections/${encodeURIComponent(name)}/consent`
  const credential = choice.credential === undefined ? {} : { credential: choice.credential }
  const done = (granted: boolean, said: string): void =>
    options.json === true ? printJson({ connection: name, granted }) : print(said)
  if (choice.withdraw === true) {
    await api.call(path, { method: 'DELETE', query: credential })
    return done(false, `the gateway no longer has a token of yours for ${name}`)
  }
  let { code } = choice
  if (code === undefined) {
    const { url } = await api.call<{ url: string }>(path, { method: 'POST', body: credential })
    hint(`open ${paint('bold', url)}`)
    code = await askForCode()
  }
  await api.call(`${path}/confirmation`, { method: 'POST', body: { ...credential, code } })
  done(true, `the gateway may use ${name} in your name`)
}

async function askForCode(): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const code = (await terminal.question('the code that the page shows at the end: ')).trim()
    if (code === '') throw new Failure('no code: run this again, or give it with --code')
    return code
  } finally {
    terminal.close()
  }
}

export function addAuthorize(connections: Command): void {
  connections
    .command('authorize <name>')
    .description('Let the gateway use an upstream in your name, for you and the agents that act for you')
    .option('--credential <name>', 'which of its secrets, where there are several')
    .option('--code <code>', 'the code that the page showed, after an earlier call without it')
    .option('--withdraw', 'have the gateway forget your tokens')
    .action(authorize)
}
