import { type ASTNode, Environment } from '@marcbachmann/cel-js'
import { nearest } from '../nearest.ts'
import { asBool, compile, UnsupportedError } from './compile.ts'
import { childrenOf } from './macros.ts'
import { ConditionError, type Frame } from './values.ts'

/** Steps that one evaluation may take: some milliseconds at most, whatever the request holds. */
const budget = 100_000
const longestSource = 4096

/** What conditions see and entries do not hold. */
export type UnrecordedPart = 'groups' | 'claims' | 'request'

/** A compiled `when`. */
export interface Condition {
  /** The source. */
  readonly text: string
  /** It looks at `request.body`, or at `request` in a way that may. */
  readonly readsBody: boolean
  /** It looks at `action.resources`, or at `action` in a way that may. */
  readonly readsResources: boolean
  /** What it looks at that entries do not hold. */
  readonly unrecorded: readonly UnrecordedPart[]
  /**
   * Whether it holds. Never throws: a missing field, an unfit type, too many steps and any other failure give the
   * error.
   */
  evaluate(variables: Variables): boolean | ConditionError
}

/** What conditions see. Each is plain data; absent fields are undefined or missing. */
export interface Variables {
  readonly subject: Readonly<Record<string, unknown>>
  readonly connection: Readonly<Record<string, unknown>>
  readonly action: Readonly<Record<string, unknown>>
  readonly request: Readonly<Record<string, unknown>>
  readonly now: Date
}

/** Why a condition can't be used, and where in its text, in characters from 0. */
export interface ConditionProblem {
  readonly message: string
  readonly offset: number
}

const variables: ReadonlySet<string> = new Set<keyof Variables>([
  'subject',
  'connection',
  'action',
  'request',
  'now',
])

const principalFields = { issuer: 'string', id: 'string', name: 'string', email: 'string' } as const
const subjectFields = {
  ...principalFields,
  kind: 'string',
  method: 'string',
  groups: 'list<string>',
  claims: 'map<string, dyn>',
  on_behalf_of: 'Principal',
} as const
const connectionFields = {
  name: 'string',
  protocol: 'string',
  sensitivity: 'string',
  labels: 'map<string, string>',
} as const
const actionFields = {
  operation: 'string',
  risk: 'string',
  resource: 'string',
  resources: 'list<string>',
  known: 'bool',
} as const
const fieldNames = Object.keys({ ...subjectFields, ...connectionFields, ...actionFields })

const environment = new Environment({
  homogeneousAggregateLiterals: false,
  limits: { maxDepth: 32, maxAstNodes: 1000, maxListElements: 500, maxMapEntries: 100, maxCallArguments: 4 },
})
  .registerType({ name: 'Principal', schema: principalFields })
  .registerType({ name: 'Subject', schema: subjectFields })
  .registerVariable('subject', 'Subject')
  .registerVariable('connection', { schema: connectionFields })
  .registerVariable('action', { schema: actionFields })
  .registerVariable('request', 'map<string, dyn>')
  .registerVariable('now', 'google.protobuf.Timestamp')

/** Parses, checks the types of, and compiles a condition. Linear in its length, which is bounded. */
export function compileCondition(text: string): Condition | ConditionProblem {
  if (text.length > longestSource) {
    return { message: `a condition has at most ${longestSource} characters`, offset: longestSource }
  }
  try {
    const parsed = environment.parse(text)
    const run = compile(parsed.ast, { variables, locals: [] })
    const checked = parsed.check()
    if (!checked.valid) return problemOf(checked.error)
    if (checked.type !== 'bool' && checked.type !== 'dyn') {
      return { message: `a condition gives true or false, this one ${checked.type}`, offset: 0 }
    }
    return {
      text,
      readsBody: readsBody(parsed.ast),
      readsResources: readsResources(parsed.ast),
      unrecorded: [...new Set(unrecorded(parsed.ast))],
      evaluate(given) {
        const frame: Frame = { variables: { ...given }, locals: [], left: budget, depth: 0 }
        try {
          return asBool(run(frame), parsed.ast)
        } catch (error) {
          return error instanceof ConditionError ? error : new ConditionError('it could not be evaluated', 0)
        }
      },
    }
  } catch (error) {
    return problemOf(error)
  }
}

function problemOf(error: unknown): ConditionProblem {
  if (error instanceof UnsupportedError) return { message: error.message, offset: error.offset }
  const { summary, range, node, message } = error as Partial<LibraryError>
  const text = explainField(summary ?? message ?? 'it can not be read')
  return { message: text, offset: range?.start ?? node?.range?.start ?? 0 }
}

/** The library's words for a field that a variable does not have, with the field that was probably meant. */
function explainField(summary: string): string {
  const field = /^No such key: (\w+)$/.exec(summary)?.[1]
  if (field === undefined) return summary
  const meant = nearest(field, fieldNames)
  return `there is no field \`${field}\`${meant === undefined ? '' : `; did you mean \`${meant}\`?`}`
}

/** The common part of the library's ParseError and TypeError. */
interface LibraryError {
  readonly message: string
  readonly summary: string
  readonly range?: { readonly start: number }
  readonly node?: { readonly range?: { readonly start: number } }
}

function readsBody(node: ASTNode): boolean {
  if (node.op === 'id') return node.args === 'request'
  if (node.op === '.' && isRequest(node.args[0])) return node.args[1] === 'body'
  if (node.op === '[]' && isRequest(node.args[0]) && node.args[1].op === 'value')
    return node.args[1].args === 'body'
  return childrenOf(node).some(readsBody)
}

function readsResources(node: ASTNode): boolean {
  if (node.op === 'id') return node.args === 'action'
  if (node.op === '.' && node.args[0].op === 'id' && node.args[0].args === 'action')
    return node.args[1] === 'resources'
  return childrenOf(node).some(readsResources)
}

function isRequest(node: ASTNode): boolean {
  return node.op === 'id' && node.args === 'request'
}

function unrecorded(node: ASTNode): UnrecordedPart[] {
  if (node.op === 'id' && node.args === 'request') return ['request']
  if (node.op === '.' && readsResources(node)) return ['request']
  // The subject as a whole, in a place where its fields are not told apart.
  if (node.op === 'id' && node.args === 'subject') return ['groups', 'claims']
  if (node.op === '.' && node.args[0].op === 'id' && node.args[0].args === 'subject') {
    const field = node.args[1]
    return field === 'groups' || field === 'claims' ? [field] : []
  }
  return childrenOf(node).flatMap(unrecorded)
}
