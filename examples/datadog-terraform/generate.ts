/** Writes `sallyport.tf.json` from `sallyport.yaml` beside it: `script/node examples/datadog-terraform/generate.ts`. */
import { readFile, writeFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { sinksSection } from '../../src/config/sinks.ts'
import { definitionsOf } from '../../src/export/datadog/setup/definitions.ts'
import { shippedKinds } from '../../src/export/filter.ts'
import { terraformOf } from './terraform.ts'

const here = (name: string) => new URL(name, import.meta.url)
export const file = here('sallyport.tf.json')

/** The definitions that the configuration of this folder asks for. */
export async function wanted() {
  const { sinks } = parse(await readFile(here('sallyport.yaml'), 'utf8')) as { sinks: unknown }
  const sink = sinksSection.parse(sinks).find(each => each.type === 'datadog')!
  return definitionsOf({ setup: sink.setup, ships: shippedKinds(sink) }).definitions
}

export async function generated(): Promise<string> {
  return `${JSON.stringify(terraformOf(await wanted()), null, 2)}\n`
}

if (import.meta.main) await writeFile(file, await generated())
