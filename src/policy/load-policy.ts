import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isMap, parseDocument, stringify } from 'yaml'
import type { Problem } from '../config/located-yaml.ts'
import type { PolicyConfig } from '../config/policy.ts'
import { parsePolicy } from './parse-policy.ts'
import { type CompileOptions, compilePolicy, type Policy } from './policy.ts'

/** The configuration file that the section is from. */
export interface PolicyOrigin {
  readonly file: string
  /** The directory that a relative `file:` starts from. */
  readonly base: string
  /** The file's text, so that a mistake in a rule written there has its line and column. */
  readonly text?: string
}

/** A policy as people wrote it. */
export interface PolicyText {
  readonly text: string
  /** A file of its own, or a section of the configuration, whose comments are kept. */
  readonly source: 'file' | 'inline'
}

/**
 * The policy that the configuration names: the file's, or the rules written in the section; without either, one
 * without rules, which denies everything. A file that can't be read is a problem like any other.
 */
export async function loadPolicy(
  section: PolicyConfig,
  origin: PolicyOrigin,
  options: CompileOptions = {},
): Promise<
  { readonly policy: Policy; readonly written: PolicyText } | { readonly problems: readonly Problem[] }
> {
  if (section.file !== undefined) {
    const path = resolve(origin.base, section.file)
    try {
      const text = await readFile(path, 'utf8')
      const parsed = parsePolicy(text, path, options)
      return 'policy' in parsed ? { ...parsed, written: { text, source: 'file' } } : parsed
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return { problems: [problem(path, '', `can not be read: ${code ?? 'unknown error'}`)] }
    }
  }
  const compiled = compilePolicy({ rules: section.rules ?? [], tests: section.tests }, options)
  if ('policy' in compiled) return { ...compiled, written: writtenInline(section, origin.text) }
  if (origin.text !== undefined) {
    const located = parsePolicy(origin.text, origin.file, { ...options, at: ['policy'] })
    if ('problems' in located) return located
  }
  return { problems: compiled.issues.map(issue => problem(origin.file, issue.path.join('.'), issue.message)) }
}

function writtenInline({ rules = [], tests }: PolicyConfig, text: string | undefined): PolicyText {
  const node = text === undefined ? undefined : parseDocument(text).get('policy', true)
  return { text: stringify(isMap(node) ? node : { rules, tests }), source: 'inline' }
}

function problem(file: string, path: string, message: string): Problem {
  return { file, line: 1, column: 1, path, message }
}
