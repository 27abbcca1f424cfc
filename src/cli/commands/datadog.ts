import type { Command } from 'commander'
import { loadConfig } from '../../config/load.ts'
import type { SinkConfigOf } from '../../config/sinks.ts'
import { openSecret } from '../../credentials/references.ts'
import { GatewayError } from '../../errors.ts'
import { apiUrl, type DatadogApi, DatadogApiError, openDatadogApi } from '../../export/datadog/api.ts'
import { at } from '../../export/datadog/attributes.ts'
import { definitionsOf, facetsByHand, savedViews } from '../../export/datadog/setup/definitions.ts'
import type { SetupOptions } from '../../export/datadog/setup/definition.ts'
import { nameOf } from '../../export/datadog/setup/kinds.ts'
import { carryOut, plan, planRemoval, type Step } from '../../export/datadog/setup/plan.ts'
import { shippedKinds } from '../../export/filter.ts'
import { protocols } from '../../main.ts'
import { changeLines } from '../change-text.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson } from '../output.ts'

interface Choice {
  readonly sink?: string
  readonly dryRun?: boolean
  readonly withIndex?: boolean
}

interface Place {
  readonly api: DatadogApi
  readonly where: string
  readonly setup: SetupOptions
}

/** The sink that the installation belongs to, and Datadog's API with the keys for it. */
async function openPlace(choice: Choice, command: Command): Promise<Place> {
  const { config, base } = await loadConfig(globals(command).config ?? 'sallyport.yaml', protocols)
  const sinks = config.sinks.filter(each => each.type === 'datadog')
  const sink = choice.sink === undefined ? sinks[0] : sinks.find(each => each.name === choice.sink)
  if (sink === undefined)
    throw new Failure('the configuration has no such sink of the type datadog', exit.usage)
  if (choice.sink === undefined && sinks.length > 1)
    throw new Failure('there are several sinks of the type datadog: say which with --sink', exit.usage)
  const appKey = appKeyOf(sink)
  if (appKey === undefined) {
    const detail = 'set DD_APP_KEY, or `app_key` of the sink'
    throw new Failure(
      `an application key that may configure logs, monitors and dashboards is needed: ${detail}`,
    )
  }
  const secret = (reference: string) => openSecret(reference, base)
  const [one, two] = [secret(sink.api_key), secret(appKey)]
  const url = (sink.api_url ?? apiUrl(sink.site)).replace(/\/+$/, '')
  return {
    api: openDatadogApi({ url, apiKey: () => one.read(), appKey: () => two.read() }),
    where: url,
    setup: { setup: sink.setup, ships: shippedKinds(sink) },
  }
}

/** The variable wins: a key that may configure need not be where the gateway can read it. */
function appKeyOf(sink: SinkConfigOf<'datadog'>): string | undefined {
  const given = process.env['DD_APP_KEY']
  return given === undefined || given === '' ? sink.app_key : '${env:DD_APP_KEY}'
}

const signs = {
  create: paint('green', '+ '),
  change: paint('yellow', '~ '),
  keep: '  ',
  remove: paint('red', '- '),
  'place-index-first': paint('yellow', '~ '),
} as const

function stepName(step: Step): string {
  switch (step.do) {
    case 'remove':
      return `${nameOf(step.found)} (${step.found.remote})`
    case 'place-index-first':
      return `order of the indexes: ${step.names.join(', ')}`
    case 'keep':
    case 'create':
    case 'change':
      return nameOf(step.definition)
  }
}

function show(step: Step, json: boolean): void {
  if (json) {
    const changes = step.do === 'change' ? { changes: step.changes, cut: step.cut } : {}
    return printJson({ do: step.do, what: stepName(step), ...changes })
  }
  print(`${signs[step.do]}${stepName(step)}`)
  if (step.do !== 'change') return
  for (const line of changeLines(step.changes)) print(`    ${line}`)
  if (step.cut) print('    … and more')
}

async function run(steps: readonly Step[], api: DatadogApi, json: boolean): Promise<void> {
  for (const step of steps) {
    await carryOut(api, step)
    show(step, json)
  }
}

const changing = (steps: readonly Step[]) => steps.filter(step => step.do !== 'keep')

async function within(
  choice: Choice,
  command: Command,
  work: (place: Place) => Promise<void>,
): Promise<void> {
  const place = await openPlace(choice, command)
  try {
    await work(place)
  } catch (error) {
    if (error instanceof DatadogApiError)
      throw new Failure(error.message, error.status === 0 ? exit.unreachable : exit.failed)
    if (error instanceof GatewayError) throw new Failure(error.detail ?? error.title)
    throw error
  } finally {
    await place.api.close()
  }
}

function install(choice: Choice, command: Command): Promise<void> {
  const json = globals(command).json === true
  return within(choice, command, async ({ api, where, setup }) => {
    const { definitions, leftOut } = definitionsOf(setup)
    const steps = await plan(api, definitions)
    const todo = changing(steps)
    if (choice.dryRun === true) {
      for (const step of steps) show(step, json)
      hint(`${todo.length} changes would be made at ${where}`)
      return
    }
    await run(todo, api, json)
    hint(todo.length === 0 ? `nothing to change at ${where}` : `${todo.length} changes made at ${where}`)
    if (json) return
    for (const { what, why } of leftOut) hint(`not installed: ${what}: ${why}`)
    hint('`sallyport datadog by-hand` lists the facets and views that no API makes')
  })
}

function diff(choice: Choice, command: Command): Promise<void> {
  const json = globals(command).json === true
  return within(choice, command, async ({ api, where, setup }) => {
    const { definitions } = definitionsOf(setup)
    const todo = changing(await plan(api, definitions))
    for (const step of todo) show(step, json)
    hint(todo.length === 0 ? `${where} is as it should be` : `${todo.length} differences at ${where}`)
    if (todo.length > 0) process.exitCode = exit.failed
  })
}

function uninstall(choice: Choice, command: Command): Promise<void> {
  const json = globals(command).json === true
  return within(choice, command, async ({ api, where, setup }) => {
    const { definitions } = definitionsOf(setup)
    const steps = await planRemoval(api, definitions, choice.withIndex === true)
    if (choice.dryRun === true) for (const step of steps) show(step, json)
    else await run(steps, api, json)
    hint(`${steps.length} resources ${choice.dryRun === true ? 'would go' : 'went'} at ${where}`)
    if (choice.withIndex !== true)
      hint('the index stays: with it go its logs, for good, and its name; --with-index deletes it')
  })
}

function byHand(_: unknown, command: Command): void {
  const json = globals(command).json === true
  if (json) {
    for (const each of facetsByHand()) printJson({ ...each, path: at(each) })
    savedViews.forEach(view => printJson({ kind: 'saved-view', ...view }))
    return
  }
  print('Facets and measures, under Logs > Facets > Add (group: Sallyport):')
  for (const each of facetsByHand())
    print(`  ${each.kind.padEnd(8)} ${at(each).padEnd(36)} ${each.type.padEnd(8)} ${each.label}`)
  print('\nViews, in the log explorer under Views > Save as new view:')
  for (const { name, query, columns } of savedViews) {
    print(`  ${name}`)
    print(`    query    ${query}`)
    print(`    columns  ${columns}`)
  }
}

export function datadogCommand(program: Command): void {
  const datadog = program
    .command('datadog')
    .description('What makes the events useful at Datadog: monitors, a dashboard, an index, rules')
  const sink = ['--sink <name>', 'the sink of the configuration that it is for'] as const
  datadog
    .command('install')
    .description('Make what is missing and change what differs; twice is as good as once')
    .option(...sink)
    .option('--dry-run', 'show what would be made and changed, field by field, and do nothing')
    .action(install)
  datadog
    .command('diff')
    .description('How Datadog differs from what install makes; exit 1 where it does')
    .option(...sink)
    .action(diff)
  datadog
    .command('uninstall')
    .description('Remove what install made, and nothing else; the index stays unless asked for')
    .option(...sink)
    .option('--with-index', 'also the index, with all its logs, for good')
    .option('--dry-run', 'show what would go, and do nothing')
    .action(uninstall)
  datadog
    .command('by-hand')
    .description('Facets, measures and views to make by hand, since no API makes them')
    .action(byHand)
}
