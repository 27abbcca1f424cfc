import { createHash } from 'node:crypto'
import { canonicalJson } from '../audit/canonical-json.ts'
import { compileRule, type Rule, type RuleIssue } from './rule.ts'
import type { PolicyCase, PolicySource } from './schema.ts'

/** A policy ready to judge. Immutable; a changed file makes another. */
export interface Policy {
  /** `sha256:` and the SHA-256, hex, of the rules' canonical form (RFC 8785, defaults filled in). */
  readonly version: string
  readonly rules: readonly Rule[]
  readonly tests: readonly PolicyCase[]
}

export interface CompileOptions {
  /** Names of the configured mask profiles; when given, a rule that names another is a mistake. */
  readonly maskProfiles?: readonly string[]
}

/** What is wrong, and where: a path from the policy's root (`rules[3].when`) and, in a text, the character. */
export type PolicyIssue = RuleIssue

/** Compiles rules that have the right form. Gives every mistake, not only the first. */
export function compilePolicy(
  source: PolicySource,
  options: CompileOptions = {},
): { readonly policy: Policy } | { readonly issues: readonly PolicyIssue[] } {
  const issues: PolicyIssue[] = []
  const rules: Rule[] = []
  const seen = new Set<string>()
  source.rules.forEach((each, i) => {
    const issue = (path: (string | number)[], message: string): void => {
      issues.push({ path: ['rules', i, ...path], message })
    }
    if (seen.has(each.name)) issue(['name'], `a rule is called ${each.name} already`)
    seen.add(each.name)
    for (const key of ['mask', 'mask_request'] as const) {
      each[key].forEach((profile, j) => {
        if (options.maskProfiles !== undefined && !options.maskProfiles.includes(profile)) {
          issue(
            [key, j],
            `there is no mask profile ${profile}; there are: ${options.maskProfiles.join(', ')}`,
          )
        }
      })
    }
    const rule = compileRule(each)
    if ('name' in rule) rules.push(rule)
    else issues.push(...rule.map(problem => ({ ...problem, path: ['rules', i, ...problem.path] })))
  })
  source.tests.forEach((test, i) => {
    const { rule } = test.expect
    if (rule !== undefined && !seen.has(rule)) {
      issues.push({ path: ['tests', i, 'expect', 'rule'], message: `there is no rule ${rule}` })
    }
  })
  if (issues.length > 0) return { issues }
  return { policy: { version: versionOf(source), rules, tests: source.tests } }
}

function versionOf({ rules }: PolicySource): string {
  return `sha256:${createHash('sha256').update(canonicalJson(rules)).digest('hex')}`
}
