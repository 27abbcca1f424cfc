/**
 * What a rule selects by, besides its condition. Names are compared as the gateway knows them: the protocol has made
 * operations, paths and hosts canonical, and connections are found by their configured name, so that no encoding or
 * spelling of a client's reaches this place.
 */
import type { Action, ResourceNames } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { Subject } from '../model/subject.ts'
import { plainOperation } from './address.ts'
import { compileGlob, compileGlobs, type Glob } from './glob.ts'
import type { RuleIssue } from './rule.ts'
import type { ConnectionsSource, RuleSource, SubjectsSource } from './schema.ts'

/** One key of a rule's `subjects` or `connections`. */
export interface Selector<T> {
  /** As written: `subjects.groups`. */
  readonly name: string
  matches(value: T): boolean
}

export function subjectSelectors(source: SubjectsSource): readonly Selector<Subject>[] {
  const selectors: Selector<Subject>[] = []
  const add = (name: string, matches: (subject: Subject) => boolean): void => {
    selectors.push({ name: `subjects.${name}`, matches })
  }
  const { groups, kinds, ids, emails, issuers, on_behalf_of: acting, claims } = source
  if (kinds !== undefined) add('kinds', subject => kinds.includes(subject.kind))
  if (groups !== undefined) {
    const match = compileGlobs(groups)
    add('groups', subject => subject.groups.some(match))
  }
  if (ids !== undefined) {
    const match = compileGlobs(ids)
    add('ids', subject => match(subject.id))
  }
  if (emails !== undefined) {
    const match = compileGlobs(emails, { ignoreCase: true })
    add('emails', subject => subject.email !== undefined && match(subject.email))
  }
  if (issuers !== undefined) {
    const match = compileGlobs(issuers)
    add('issuers', subject => match(subject.issuer))
  }
  if (acting !== undefined) {
    const matchId = compileGlobs(acting)
    const matchEmail = compileGlobs(acting, { ignoreCase: true })
    add('on_behalf_of', ({ onBehalfOf: person }) => {
      if (person === undefined) return false
      return matchId(person.id) || (person.email !== undefined && matchEmail(person.email))
    })
  }
  for (const [claim, values] of Object.entries(claims ?? {})) {
    const match = compileGlobs(values)
    add(`claims.${claim}`, subject => claimValues(subject.claims, claim).some(match))
  }
  return selectors
}

/** The values of a claim as text: a single one, or those of a list. Only own properties are claims. */
function claimValues(claims: Subject['claims'], name: string): readonly string[] {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  return values.flatMap(each =>
    typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean' ? [String(each)] : [],
  )
}

export function connectionSelectors(source: ConnectionsSource): readonly Selector<Connection>[] {
  const selectors: Selector<Connection>[] = []
  const add = (name: string, matches: (connection: Connection) => boolean): void => {
    selectors.push({ name: `connections.${name}`, matches })
  }
  const { names, labels, sensitivity, protocols } = source
  if (names !== undefined) {
    const match = compileGlobs(names)
    add('names', connection => match(connection.name))
  }
  if (protocols !== undefined) {
    const match = compileGlobs(protocols)
    add('protocols', connection => match(connection.protocol))
  }
  if (sensitivity !== undefined)
    add('sensitivity', connection => sensitivity.includes(connection.sensitivity))
  for (const [label, value] of Object.entries(labels ?? {})) {
    const glob = compileGlob(value)
    add(`labels.${label}`, connection => {
      const given = Object.hasOwn(connection.labels, label) ? connection.labels[label] : undefined
      return given !== undefined && glob.matches(given)
    })
  }
  return selectors
}

/** A rule's `operations`. */
export interface Operations {
  matches(operation: string): boolean
  /** Whether an operation that no catalogue knows is named by the rule, and not merely covered. */
  names(operation: string): boolean
  readonly issues: readonly RuleIssue[]
}

/**
 * Whatever narrows what is permitted ignores case: the patterns of deny and require_approval, the exclusions of
 * allow. Whatever widens it compares the exact spelling, but for the scheme and the host of an address.
 */
export function operationSelector(source: RuleSource): Operations {
  const patterns = (source.operations ?? []).map(pattern => plainOperation(pattern))
  const narrows = source.effect !== 'allow'
  const written = patterns.filter(pattern => !pattern.startsWith('!'))
  const excluded = compileGlobs(
    patterns.filter(pattern => pattern.startsWith('!')).map(pattern => pattern.slice(1)),
    { ignoreCase: !narrows },
  )
  const covered = written.length === 0 ? () => true : compileGlobs(written, { ignoreCase: narrows })
  const naming = written.map(pattern => compileGlob(pattern)).filter(glob => isNaming(glob, source))
  const asksAnything = source.unknown && source.effect === 'require_approval'
  const matches = (operation: string): boolean => {
    const folded = plainOperation(operation)
    return covered(folded) && !excluded(folded)
  }
  const isNamed = (folded: string): boolean => naming.some(glob => glob.matches(folded))
  return {
    matches,
    names: operation => (asksAnything || isNamed(plainOperation(operation))) && matches(operation),
    issues: issuesOf(source, naming.length),
  }
}

/**
 * A rule's `resources`. A rule that restricts matches where any of what is acted on may be meant; an allow where there
 * is something, and all of it is. What a protocol does not tell may be anything. Spelling as for operations.
 */
export function resourceSelector(source: RuleSource): ((action: Action) => boolean) | undefined {
  const { resources, effect } = source
  if (resources === undefined) return undefined
  const narrows = effect !== 'allow'
  const written = resources.filter(pattern => !pattern.startsWith('!'))
  const excluded = compileGlobs(
    resources.filter(pattern => pattern.startsWith('!')).map(pattern => pattern.slice(1)),
    { ignoreCase: !narrows },
  )
  const covered = written.length === 0 ? () => true : compileGlobs(written, { ignoreCase: narrows })
  const matches = (names: ResourceNames): boolean => names.some(covered) && !names.some(excluded)
  return ({ resources }) => {
    if (resources === undefined) return narrows
    return narrows ? resources.some(matches) : resources.length > 0 && resources.every(matches)
  }
}

/** `GET /status`, and with `unknown: true` also `GET /status/*`; never `*`, `GET *`, `GET /*` or `tools/call:*`. */
function isNaming(glob: Glob, { unknown }: RuleSource): boolean {
  return glob.literal || (unknown && /[ :]\/*[^/ ]/.test(glob.prefix))
}

function issuesOf({ operations, unknown, effect }: RuleSource, naming: number): RuleIssue[] {
  const issues: RuleIssue[] = (operations ?? []).flatMap((pattern, i) =>
    pattern === '!' ? [{ path: ['operations', i], message: 'name what to exclude after the `!`' }] : [],
  )
  if (unknown && effect === 'allow' && naming === 0) {
    issues.push({
      path: ['unknown'],
      message:
        'an allow reaches unknown operations only by name: add an operation such as `GET /status` or `GET /status/*`',
    })
  }
  return issues
}
