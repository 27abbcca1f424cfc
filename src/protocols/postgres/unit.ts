/** A statement on its way to becoming actions: what it does all told, and why it is refused whatever policy says. */
import type { ResourceNames } from '../../model/action.ts'
import { risks } from '../../model/decision.ts'
import type { Judgement, Unjudged } from './judge.ts'
import type { BindMessage } from './messages.ts'
import { sqlStates } from './refusal.ts'
import type { RowCount } from './row-limit.ts'
import { refusedSetting } from './settings-judge.ts'
import type { Statements } from './statements.ts'

/** Why a statement does not run, in the server's own terms. */
export interface Problem {
  /** SQLSTATE. */
  readonly code: string
  readonly message: string
  /** Where in the text, in characters from 1: told for mistakes of the text itself. */
  readonly position?: number
}

/** One execution of one statement. */
export interface Unit {
  readonly judgement: Judgement
  /** The text of what was prepared earlier and runs now. */
  readonly inner?: string
  readonly bind?: BindMessage
  readonly types?: readonly number[]
  /** At most so many rows are asked for; 0: all. */
  readonly maxRows: number
  readonly problem?: Problem
  /** Rows of its result that the client has had, where it is fetched in pieces. */
  readonly passed?: RowCount
  /** The server has settled what its names mean when it was bound. */
  readonly early?: boolean
  /** What it acts on; absent where nobody asked, or where it can't be told. */
  readonly resources?: readonly ResourceNames[]
}

const nothing: Judgement = {
  operations: [{ name: 'UNPARSEABLE', risk: 'admin' }],
  risk: 'admin',
  known: false,
  tables: [],
  qualified: [],
  references: [],
  columns: [],
  shown: [],
  stored: [],
  functions: [],
  unknownFunctions: [],
  where: false,
  settings: [],
  role: { kind: 'plain' },
  text: '',
  normalized: () => '',
}

/** What could not be judged is an action too: it is refused, and the log says so. */
export function unjudgedUnit(text: string, { problem: message, code, position }: Unjudged): Unit {
  const problem = { code, message, ...(position === undefined ? {} : { position }) }
  return { judgement: { ...nothing, text }, maxRows: 0, problem }
}

/**
 * The units of a query string. A statement that runs, or fetches from, an earlier one does what that one does; within
 * the string, names that it makes itself count from there on.
 */
export function unitsOf(judgements: readonly Judgement[], statements: Statements, readOnly: boolean): Unit[] {
  const made = new Map<string, Judgement | undefined>()
  return judgements.map(judgement => {
    const { role } = judgement
    const unit = resolve(judgement, { statements, made, readOnly })
    if (
      role.kind === 'prepare' &&
      (made.has(role.name) ? made.get(role.name) : statements.prepared(role.name)) === undefined
    )
      made.set(role.name, judgement)
    if (role.kind === 'deallocate' && role.name !== undefined) made.set(role.name, undefined)
    if (role.kind === 'declare') made.set(`cursor ${role.name}`, judgement)
    return unit
  })
}

/** One statement alone, such as a portal's. */
export function unitOf(judgement: Judgement, statements: Statements, readOnly: boolean): Unit {
  return resolve(judgement, { statements, made: new Map(), readOnly })
}

interface Resolving {
  readonly statements: Statements
  /** By name, or `cursor name`; undefined: gone. */
  readonly made: ReadonlyMap<string, Judgement | undefined>
  readonly readOnly: boolean
}

function resolve(judgement: Judgement, at: Resolving): Unit {
  const { role } = judgement
  if (role.kind === 'execute') {
    const inner = at.made.has(role.name)
      ? at.made.get(role.name)
      : at.statements.prepared(role.name)?.judgement
    if (inner === undefined) {
      const message = `prepared statement "${role.name}" does not exist`
      return { judgement, maxRows: 0, problem: { code: '26000', message } }
    }
    return withProblem({ judgement: join(judgement, inner), inner: inner.text, maxRows: 0 }, at.readOnly)
  }
  if (role.kind === 'fetch') {
    const inner = at.made.get(`cursor ${role.name}`) ?? at.statements.cursor(role.name)
    // A cursor that a function opened: nobody here knows what it gives.
    if (inner === undefined)
      return withProblem(
        { judgement: { ...judgement, risk: 'write', known: false }, maxRows: 0 },
        at.readOnly,
      )
    return withProblem(
      { judgement: join(judgement, inner), inner: inner.text, maxRows: 0, early: true },
      at.readOnly,
    )
  }
  return withProblem({ judgement, maxRows: 0 }, at.readOnly)
}

/** The same unit with the reason for which it never runs, where there is one. */
export function withProblem(unit: Unit, readOnly: boolean): Unit {
  const { settings, risk } = unit.judgement
  for (const setting of settings) {
    const message = refusedSetting(setting, readOnly)
    if (message !== undefined) return { ...unit, problem: { code: sqlStates.denied, message } }
  }
  if (readOnly && risk !== 'read') {
    const message = `this connection is read-only: ${unit.judgement.operations[0]!.name} may change something`
    return { ...unit, problem: { code: '25006', message } }
  }
  return unit
}

/** What `inner` does, done by way of `outer`. */
function join(outer: Judgement, inner: Judgement): Judgement {
  const union = (a: readonly string[], b: readonly string[]): readonly string[] =>
    [...new Set([...a, ...b])].sort()
  const operations = [
    ...inner.operations.filter(each => each.name !== 'PREPARE' && each.name !== 'DECLARE CURSOR'),
    ...outer.operations,
  ]
  return {
    ...inner,
    operations: operations.toSorted((a, b) => risks.indexOf(b.risk) - risks.indexOf(a.risk)),
    risk: risks.indexOf(outer.risk) > risks.indexOf(inner.risk) ? outer.risk : inner.risk,
    known: outer.known && inner.known,
    tables: union(outer.tables, inner.tables),
    qualified: union(outer.qualified, inner.qualified),
    references: [...outer.references, ...inner.references],
    columns: union(outer.columns, inner.columns),
    shown: union(outer.shown, inner.shown),
    stored: union(
      outer.stored,
      outer.operations.some(each => each.name === 'CREATE TABLE AS') ? inner.shown : inner.stored,
    ),
    functions: union(outer.functions, inner.functions),
    unknownFunctions: union(outer.unknownFunctions, inner.unknownFunctions),
    settings: [...outer.settings, ...inner.settings],
    role: outer.role,
    text: outer.text,
    normalized: outer.normalized,
  }
}
