import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { changeLines } from '../change-text.ts'
import { connect } from '../client.ts'
import { entryLine } from '../entry-text.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson, visible } from '../output.ts'
import { readSession } from '../recorded-session.ts'
import { type Judged, runInSandbox, type SandboxStep } from '../sandbox-replay.ts'

export interface SandboxChoice {
  readonly sandbox: string
  readonly policy?: string
  readonly identity?: string
  readonly sandboxHeader: readonly string[]
}

/** `sallyport sessions replay ID --sandbox URL`. */
export async function replayInSandbox(id: string, choice: SandboxChoice, command: Command): Promise<void> {
  const options = globals(command)
  const api = await connect(options)
  const headers = Object.fromEntries(choice.sandboxHeader.map(headerOf))
  const policy = choice.policy === undefined ? undefined : await policyText(choice.policy)
  const { session, reenactor } = await readSession(api, id, choice.identity)
  const stage = reenactor.open(choice.sandbox, headers)
  const run = await runInSandbox({ api, reenactor, session, stage, identity: choice.identity, policy })
  if (options.json === true) {
    printJson({ session: id, policy: run.version, seeded: run.seeded, masked: run.masked })
    return run.steps.forEach(printJson)
  }
  const under = choice.policy === undefined ? 'the policy in force' : visible(choice.policy)
  print(`${paint('bold', id)}  ${session.connection}  in ${choice.sandbox}, under ${under}`)
  print(paint('dim', `  seeded with ${counted(run.seeded.length, 'object')} from what was recorded`))
  if (run.masked.length > 0)
    print(paint('dim', `  a mask hid something in ${run.masked.join(', ')}: the copies hold the marks`))
  for (const each of run.steps) if (isWorthALine(each)) print(stepText(each))
  const otherwise = run.steps.filter(each => isOtherwise(each.judged)).length
  const reads = run.steps.filter(each => each.entry.risk === 'read').length
  print(
    `\n${counted(run.steps.length, 'action')}, ${reads} of them reads, which change nothing and were not repeated; ` +
      `${otherwise === 0 ? 'none' : otherwise} would be decided otherwise`,
  )
  hint('this reading is an entry of the log')
}

function isWorthALine({ entry, judged }: SandboxStep): boolean {
  return entry.risk !== 'read' || isOtherwise(judged)
}

function isOtherwise({ before, after }: Judged): boolean {
  return before !== undefined && (after.length !== 1 || after[0] !== before)
}

function stepText({ entry, judged, sent, why, kind, changes }: SandboxStep): string {
  const lines = [`\n${entryLine(entry)}`, `  ${decisionText(judged)}`]
  if (why !== undefined) lines.push(paint('dim', `  not done: ${visible(why)}`))
  if (sent !== undefined) {
    const answer = visible(sent.answer)
    lines.push(`  ${visible(sent.words)} -> ${sent.ok ? answer : paint('red', answer)}`)
    if (changes === undefined)
      lines.push(paint('dim', '  what it changes can not be shown: nothing is known that reads it'))
    else if (changes.changes.length === 0) lines.push(paint('dim', '  changed nothing'))
    else {
      lines.push(`  ${{ create: 'created', update: 'changed', delete: 'deleted' }[kind ?? 'update']}`)
      lines.push(...changeLines(changes.changes).map(line => `    ${line}`))
    }
    if (changes?.cut === true) lines.push(paint('dim', '    and more'))
  }
  return lines.join('\n')
}

const said: Readonly<Record<string, string>> = {
  permit: 'permitted',
  deny: 'denied',
  ask: 'a person is asked',
}

function decisionText({ before, after, rule, unknown }: Judged): string {
  const then = before === undefined ? 'not decided' : said[before]
  const named = rule === undefined ? '' : ` by rule ${rule}`
  if (after.length > 1) {
    const needs = [...new Set(unknown.flatMap(each => each.needs))].join(', ')
    const open = after.map(each => said[each]).join(' or ')
    return paint('yellow', `then ${then}; under this policy ${open}: the entry does not hold ${needs}`)
  }
  const now = said[after[0] ?? ''] ?? 'not decided'
  return now === then
    ? paint('dim', `${then}${named}, then as under this policy`)
    : paint('yellow', `then ${then}; under this policy ${now}${named}`)
}

function headerOf(text: string): [string, string] {
  const at = text.indexOf(':')
  if (at < 1) throw new Failure('write a header as `Name: value`', exit.usage)
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}

async function policyText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Failure((error as Error).message, exit.usage)
  }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
