import { createInterface } from 'node:readline/promises'
import { exit, Failure } from './failure.ts'

/** Asks back, unless the answer was `given` beforehand. Throws where it is no, or nobody is there to ask. */
export async function confirm(question: string, given: boolean): Promise<void> {
  if (given) return
  if (!process.stdin.isTTY) throw new Failure('nobody is here to ask: add --yes', exit.usage)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`${question} [y/N] `)
  terminal.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new Failure('nothing was done')
}
