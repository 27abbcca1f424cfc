import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { parse } from 'yaml'
import { loadConfig, type LoadedConfig } from '../../config/load.ts'
import { describeProblem, type Problem, ProblemsError } from '../../config/located-yaml.ts'
import { protocols } from '../../main.ts'
import { builtinProfiles } from '../../masking/builtin-profiles.ts'
import { explain, renderExplanation } from '../../policy/explain.ts'
import { loadPolicy } from '../../policy/load-policy.ts'
import { parsePolicy, parsePolicyCases } from '../../policy/parse-policy.ts'
import type { Policy } from '../../policy/policy.ts'
import { inquiryOf, runPolicyTests } from '../../policy/policy-tests.ts'
import { type PolicyCase, questionSchema } from '../../policy/schema.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson } from '../output.ts'

interface Read {
  readonly policy?: Policy
  readonly problems: readonly Problem[]
  readonly loaded?: LoadedConfig
}

/** A policy file by itself, or the policy of a configuration file with that file's connections. */
async function read(file: string): Promise<Read> {
  const path = resolve(file)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Failure(code === 'ENOENT' ? `${file}: there is no such file` : message, exit.usage)
  }
  if (isPolicyFile(text)) return result(parsePolicy(text, file))
  try {
    const loaded = await loadConfig(path, protocols)
    const { config, base } = loaded
    const maskProfiles = [...Object.keys(builtinProfiles), ...Object.keys(config.masking.profiles)]
    return { ...result(await loadPolicy(config.policy, { file, base, text }, { maskProfiles })), loaded }
  } catch (error) {
    if (error instanceof ProblemsError) return { problems: error.problems.map(each => ({ ...each, file })) }
    throw error
  }
}

/** A file with `rules` at its root is a policy by itself; a configuration has none there. */
function isPolicyFile(text: string): boolean {
  try {
    const top = parse(text) as unknown
    return typeof top === 'object' && top !== null && 'rules' in top
  } catch {
    return true
  }
}

function result(read: { readonly policy: Policy } | { readonly problems: readonly Problem[] }): Read {
  return 'problems' in read ? read : { policy: read.policy, problems: [] }
}

async function readValid(file: string): Promise<{ policy: Policy; loaded?: LoadedConfig }> {
  const { policy, problems, loaded } = await read(file)
  if (policy === undefined) throw new Failure(problems.map(describeProblem).join('\n'), exit.failed)
  return { policy, ...(loaded === undefined ? {} : { loaded }) }
}

async function check(file: string | undefined, _: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const { policy, problems } = await read(file ?? options.config ?? 'sallyport.yaml')
  if (options.json === true)
    printJson({
      ok: policy !== undefined,
      problems,
      ...(policy === undefined ? {} : { version: policy.version, rules: policy.rules.length }),
    })
  else if (policy !== undefined)
    print(`${paint('green', 'valid')}: ${policy.rules.length} rules, ${policy.version}`)
  else for (const problem of problems) print(describeProblem(problem))
  if (policy === undefined) process.exitCode = exit.failed
}

async function test(
  file: string | undefined,
  choice: { readonly cases?: string },
  command: Command,
): Promise<void> {
  const options = globals(command)
  const { policy, loaded } = await readValid(file ?? options.config ?? 'sallyport.yaml')
  const cases =
    choice.cases === undefined ? undefined : casesOf(await readFile(choice.cases, 'utf8'), choice.cases)
  const results = runPolicyTests(
    policy,
    loaded === undefined ? {} : { connections: loaded.connections },
    cases,
  )
  for (const { name, passed, differences } of results) {
    if (options.json === true) printJson({ name, passed, differences })
    else if (passed) print(`${paint('green', 'ok')}    ${name}`)
    else {
      print(`${paint('red', 'wrong')} ${name}`)
      for (const { what, expected, got } of differences)
        print(`        ${what}: expected ${expected}, got ${got}`)
    }
  }
  const wrong = results.filter(each => !each.passed).length
  if (results.length === 0)
    throw new Failure('there are no cases: write them under `tests`, or pass --cases', exit.usage)
  hint(`${results.length - wrong} of ${results.length} cases hold`)
  if (wrong > 0) process.exitCode = exit.failed
}

function casesOf(text: string, file: string): readonly PolicyCase[] {
  const read = parsePolicyCases(text, file)
  if ('problems' in read) throw new Failure(read.problems.map(describeProblem).join('\n'), exit.usage)
  return read.cases
}

interface ExplainOptions {
  readonly subject?: string
  readonly group: string[]
  readonly kind: string
  readonly connection?: string
  readonly operation?: string
  readonly risk: string
  readonly request?: string
  readonly question?: string
}

async function explainOne(file: string | undefined, choice: ExplainOptions, command: Command): Promise<void> {
  const options = globals(command)
  const { policy, loaded } = await readValid(file ?? options.config ?? 'sallyport.yaml')
  const asked = questionSchema.safeParse(
    choice.question === undefined ? questionOf(choice) : parse(await readFile(choice.question, 'utf8')),
  )
  if (!asked.success) {
    throw new Failure(
      asked.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`).join('\n'),
      exit.usage,
    )
  }
  const inquiry = inquiryOf(asked.data, loaded === undefined ? {} : { connections: loaded.connections })
  if (inquiry === undefined)
    throw new Failure(`there is no connection ${choice.connection ?? ''}`, exit.usage)
  const explanation = explain(policy, inquiry)
  if (options.json === true) printJson(explanation)
  else print(renderExplanation(explanation))
}

function questionOf({
  subject = 'someone',
  group,
  kind,
  connection,
  operation,
  risk,
  request,
}: ExplainOptions): unknown {
  const address = subject.includes('@') ? { email: subject } : {}
  return {
    subject: { issuer: 'sallyport', id: subject, kind, groups: group, ...address },
    connection,
    action: { operation, risk, ...(request === undefined ? {} : { request: parse(request) as unknown }) },
  }
}

export function policyCommand(program: Command): void {
  const policy = program
    .command('policy')
    .description('Check, test and explain a policy, without a running gateway')
  policy.command('check [file]').description('Find every mistake, with its line and column').action(check)
  policy
    .command('test [file]')
    .description('Run the cases under `tests`')
    .option('--cases <file>', 'cases from another file')
    .action(test)
  policy
    .command('explain [file]')
    .description('Which rule decides an action, and why the others do not')
    .option('--subject <who>', 'id or e-mail address')
    .option(
      '--group <group>',
      'a group, repeatable',
      (value: string, all: string[]) => [...all, value],
      [] as string[],
    )
    .option('--kind <kind>', 'user, service or agent', 'agent')
    .option('--connection <name>', 'the connection')
    .option('--operation <operation>', 'such as v1.deleteMonitor')
    .option('--risk <risk>', 'read, write, delete or admin', 'read')
    .option('--request <yaml>', 'what conditions see as `request`, as YAML or JSON')
    .option('--question <file>', 'the whole question from a file, in the form of a case')
    .action(explainOne)
}
