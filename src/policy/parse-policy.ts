import type { Problem } from '../config/located-yaml.ts'
import { readDocument } from './located-document.ts'
import { type CompileOptions, compilePolicy, type Policy } from './policy.ts'
import { casesFileSchema, type PolicyCase, policyFileSchema } from './schema.ts'

export interface ParseOptions extends CompileOptions {
  /** Where in the file the policy stands: `['policy']` for one that is part of `sallyport.yaml`. Default: the root. */
  readonly at?: readonly string[]
}

interface Problems {
  readonly problems: readonly Problem[]
}

/**
 * Reads a policy from YAML. Reports every mistake with its line and column; one in a condition has the place inside
 * the condition. Never throws for what the text holds.
 */
export function parsePolicy(
  text: string,
  file: string,
  options: ParseOptions = {},
): { readonly policy: Policy } | Problems {
  const document = readDocument(text, file, { schema: policyFileSchema, at: options.at ?? [] })
  if ('problems' in document) return document
  const compiled = compilePolicy(document.value, options)
  return 'policy' in compiled ? compiled : { problems: compiled.issues.map(document.locate) }
}

/** Reads the cases of `sallyport policy test` from a file of their own: `tests: [...]`. */
export function parsePolicyCases(
  text: string,
  file: string,
): { readonly cases: readonly PolicyCase[] } | Problems {
  const document = readDocument(text, file, { schema: casesFileSchema, at: [] })
  return 'problems' in document ? document : { cases: document.value.tests }
}
