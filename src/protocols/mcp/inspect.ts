/** Looks at an answer's texts for what is addressed to the model. */
import { findInjection } from '../../guards/injection.ts'
import type { Outcome } from './feed.ts'
import { codes, type Fields, fieldsOf, isFields } from './rpc.ts'
import type { McpSettings } from './settings.ts'
import { finalOf, withFinal } from './tasks/extension.ts'

/** A task is looked into for what it has come to. */
export function inspectOutcome(
  outcome: Outcome,
  mode: McpSettings['injection'],
): { readonly flags: readonly string[]; readonly outcome: Outcome } {
  const final = 'error' in outcome ? undefined : finalOf(outcome.result)
  if ('error' in outcome || final === undefined) return inspectPlain(outcome, mode)
  const inspected = inspectPlain({ result: final }, mode)
  if ('error' in inspected.outcome) return inspected
  return { ...inspected, outcome: { result: withFinal(outcome.result, inspected.outcome.result) } }
}

function inspectPlain(
  outcome: Outcome,
  mode: McpSettings['injection'],
): { readonly flags: readonly string[]; readonly outcome: Outcome } {
  if (mode === 'off') return { flags: [], outcome }
  const texts: string[] = []
  if ('error' in outcome) texts.push(outcome.error.message)
  else {
    const { content, contents, messages, structuredContent } = outcome.result
    for (const part of [content, contents, messages, structuredContent]) collect(part, texts, 0)
    if (texts.length === 0) return { flags: flagsOfLists(outcome.result), outcome }
  }
  if (texts.length === 0) return { flags: [], outcome }
  const flags = findInjection(texts.join('\n'))
  if (flags.length === 0 || mode === 'flag') return { flags, outcome }
  const text = `The answer was withheld by the gateway: it holds text that is addressed to a model (${flags.join(', ')}). The call itself was executed.`
  if ('error' in outcome || outcome.result['content'] === undefined)
    return { flags, outcome: { error: { code: codes.denied, message: text } } }
  const { resultType } = outcome.result
  const whole = resultType === undefined ? {} : { resultType }
  return { flags, outcome: { result: { ...whole, content: [{ type: 'text', text }], isError: true } } }
}

/** What is offered can steer a model before anything is called. It is marked alone: a person sees what changed. */
function flagsOfLists({ tools, prompts, resources, resourceTemplates, instructions }: Fields): string[] {
  const texts: string[] = []
  for (const part of [tools, prompts, resources, resourceTemplates, instructions]) collect(part, texts, 0)
  return texts.length === 0 ? [] : findInjection(texts.join('\n'))
}

const binary = new Set(['data', 'blob', 'mimeType', 'type'])

function collect(value: unknown, texts: string[], depth: number): void {
  if (typeof value === 'string') texts.push(value)
  else if (depth > 32) return
  else if (Array.isArray(value)) for (const each of value) collect(each, texts, depth + 1)
  else if (isFields(value)) {
    for (const [name, each] of Object.entries(fieldsOf(value)))
      if (!binary.has(name)) collect(each, texts, depth + 1)
  }
}
