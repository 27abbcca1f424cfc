/** One statement's tree, walked: what it does, to what, and what hides in it. */
import type { Risk } from '../../model/action.ts'
import { risks } from '../../model/decision.ts'
import { bare, graveFunctions, isHarmless } from './functions.ts'
import { type Operation, operationOf } from './operations.ts'
import { type Role, roleOf } from './roles.ts'
import { type Setting, settingsOf, settingRisk } from './settings-judge.ts'
import { isNode, isTag, list, type Node, sorted, stringOf, tagged } from './tree.ts'

/** What a statement does. Lists are sorted and hold each name once. */
export interface Judgement {
  /** Everything that it does, the gravest first; the first names the action. */
  readonly operations: readonly Operation[]
  /** The gravest of it, functions and settings included. */
  readonly risk: Risk
  /** False where what it does can't be told from its text (DO, what the tables do not know). */
  readonly known: boolean
  /** Bare names of the relations that it names, without those that it defines itself (WITH). */
  readonly tables: readonly string[]
  /** The same as written: `schema.name` or `name`. */
  readonly qualified: readonly string[]
  /** The same one by one, and what it makes. */
  readonly references: readonly Reference[]
  /** Bare names of the columns that it names anywhere; `*` stands for all of a relation's. */
  readonly columns: readonly string[]
  /** Those that flow into what it gives back, and those that it stores elsewhere. */
  readonly shown: readonly string[]
  readonly stored: readonly string[]
  /** Functions as called, lower case where not quoted; `schema.name` where so written. */
  readonly functions: readonly string[]
  /** Those that are not known to be harmless. */
  readonly unknownFunctions: readonly string[]
  /** False where an UPDATE or DELETE in it has no WHERE, or one that looks at no column. */
  readonly where: boolean
  /** What it sets or resets. */
  readonly settings: readonly Setting[]
  /** What it means for the session. */
  readonly role: Role
  readonly text: string
  readonly normalized: () => string
}

/** A relation as a statement names it. `*`: all of the schema's. */
export interface Reference {
  readonly schema?: string
  readonly name: string
  /** Whether it is there before, or made by the statement. */
  readonly use: 'named' | 'made' | 'made temporary'
}

export class TooComplexError extends Error {}

const mostDepth = 1200

/** Parts of statements that are called statements: the body of a function in SQL, what identifies a table's rows. */
const parts: ReadonlySet<string> = new Set(['ReturnStmt', 'ReplicaIdentityStmt'])

/** Everything but `text` and `normalized`. */
export function judgeStatement(stmt: unknown): Omit<Judgement, 'text' | 'normalized'> {
  const walker = new Walker()
  walker.statement(stmt, noNames)
  return walker.judgement(stmt)
}

type Names = ReadonlySet<string>
const noNames: Names = new Set()

/** Where a column stands: flowing to the client, into storage, or only looked at. */
type Flow = 'shown' | 'stored' | undefined

class Walker {
  readonly #operations = new Map<string, Operation>()
  readonly #tables = new Set<string>()
  readonly #qualified = new Set<string>()
  readonly #references = new Map<string, Reference>()
  readonly #aliases = new Set<string>()
  readonly #columns: { readonly name: string; readonly flow: Flow; readonly alone: boolean }[] = []
  readonly #functions = new Set<string>()
  readonly #settings: Setting[] = []
  #known = true
  #where = true
  #flow: Flow
  /** What `WHERE name = 'constant'` says that the column `name` is; pg_dump calls set_config with it. */
  #pinned: unknown
  #storing = false
  #depth = 0

  judgement(stmt: unknown): Omit<Judgement, 'text' | 'normalized'> {
    const functions = [...this.#functions].sort()
    const unknownFunctions = functions.filter(name => !isHarmless(name))
    const operations = [...this.#operations.values()]
    const first = operations[0]
    // The gravest first; of equals the outermost, which was found first.
    operations.sort((a, b) => risks.indexOf(b.risk) - risks.indexOf(a.risk))
    const grave: Risk[] = operations.map(each => each.risk)
    if (unknownFunctions.length > 0) grave.push('write')
    if (functions.some(name => graveFunctions.test(bare(name)))) grave.push('admin')
    for (const setting of this.#settings) grave.push(settingRisk(setting))
    // A whole row can be named by its relation's name alone.
    const columns = this.#columns.map(each =>
      each.alone && (this.#aliases.has(each.name) || this.#tables.has(each.name))
        ? { ...each, name: '*' }
        : each,
    )
    const named = (flow?: Flow): string[] =>
      sorted(columns.filter(each => flow === undefined || each.flow === flow).map(each => each.name))
    return {
      operations: first === undefined ? [{ name: 'EMPTY', risk: 'read' }] : operations,
      risk: grave.reduce<Risk>((a, b) => (risks.indexOf(b) > risks.indexOf(a) ? b : a), 'read'),
      known: this.#known,
      tables: sorted(this.#tables),
      qualified: sorted(this.#qualified),
      references: [...this.#references.values()],
      columns: named(),
      shown: named('shown'),
      stored: named('stored'),
      functions,
      unknownFunctions,
      where: this.#where,
      settings: this.#settings,
      role: roleOf(stmt),
    }
  }

  /** A node that is a whole statement, at the top or inside another. */
  statement(value: unknown, names: Names): void {
    const [tag, node] = tagged(value)
    if (tag === undefined) return
    this.#visit(tag, node, names)
  }

  #walk(value: unknown, names: Names): void {
    if (typeof value !== 'object' || value === null) return
    if (++this.#depth > mostDepth) throw new TooComplexError()
    if (Array.isArray(value)) for (const each of value) this.#walk(each, names)
    // Relations of utility statements stand in fields without a tag, and are never names of WITH.
    else if ('relname' in value) this.#relation(value, noNames)
    else {
      for (const [key, each] of Object.entries(value)) {
        if (isTag(key) && isNode(each)) this.#visit(key, each, names)
        else this.#walk(each, names)
      }
    }
    this.#depth--
  }

  #visit(tag: string, node: Node, outer: Names): void {
    if (tag.endsWith('Stmt') && !parts.has(tag)) this.#operation(tag, node)
    let names = outer
    let rest = node
    if (node['withClause'] !== undefined) {
      names = this.#with(node['withClause'] as Node, outer)
      rest = { ...node, withClause: undefined }
    }
    switch (tag) {
      case 'SelectStmt':
        return this.#select(rest, names)
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        return this.#change(tag, rest, names)
      case 'CreateTableAsStmt':
      case 'ViewStmt':
        return this.#storingIn(rest, names)
      case 'CopyStmt':
        return this.#copy(rest, names)
      case 'ExplainStmt':
        return this.#explain(rest, names)
      case 'RangeVar':
        return this.#relation(rest, names)
      case 'RangeSubselect':
        this.#alias(rest)
        return this.#walk(rest, names)
      case 'RangeFunction':
      case 'RangeTableFunc':
      case 'JsonTable':
        this.#alias(rest)
        // What goes into a function in FROM comes out of it under other names.
        return this.#inFlow(this.#storing ? 'stored' : 'shown', () => this.#walk(rest, names))
      case 'Constraint':
        // A generated column keeps what it is made of.
        if (rest['contype'] !== 'CONSTR_GENERATED') return this.#walk(rest, names)
        return this.#inFlow('stored', () => this.#walk(rest, names))
      case 'AlterTableCmd':
        // What leaves its family is no longer covered by the rules for it.
        if (/^AT_(?:DetachPartition|DropInherit)/.test(String(rest['subtype']))) this.#kept('*')
        return this.#walk(rest, names)
      case 'ColumnRef':
        return this.#column(rest)
      case 'A_Indirection':
        for (const part of list(rest['indirection'])) this.#field(part)
        return this.#walk(rest, names)
      case 'FuncCall':
        return this.#call(rest, names)
      case 'DropStmt':
      case 'CommentStmt':
      case 'SecLabelStmt':
        this.#objects(rest['objects'] ?? [rest['object']], String(rest['removeType'] ?? rest['objtype']))
        return
      case 'CreateStmt':
      case 'CreateSeqStmt':
      case 'CompositeTypeStmt': {
        const { relation, sequence, typevar, ...parts } = rest
        this.#made(relation ?? sequence ?? typevar)
        return this.#walk(parts, names)
      }
      case 'VariableSetStmt':
        this.#settings.push(...settingsOf(rest))
        return
      case 'TransactionStmt':
        this.#settings.push(...settingsOf({ ...rest, name: 'TRANSACTION', args: rest['options'] }))
        return
      case 'AlterSystemStmt':
        return
      case 'RenameStmt':
      case 'AlterObjectSchemaStmt':
        if (isNode(rest['relation'])) this.#moved(rest['relation'], rest)
        for (const each of schemasOf(tag, rest)) this.#table(each, '*')
        return this.#walk(rest, names)
      default:
        for (const each of schemasOf(tag, rest)) this.#table(each, '*')
        return this.#walk(rest, names)
    }
  }

  #operation(tag: string, node: Node): void {
    const found = operationOf(tag, node)
    if (found === undefined || tag === 'DoStmt') this.#known = false
    const operation = found ?? { name: tag.replace(/Stmt$/, '').toUpperCase(), risk: 'admin' as const }
    if (!this.#operations.has(operation.name)) this.#operations.set(operation.name, operation)
  }

  #add(operation: Operation): void {
    if (!this.#operations.has(operation.name)) this.#operations.set(operation.name, operation)
  }

  /** Names that WITH defines: each sees those before it, or all where RECURSIVE. */
  #with(clause: Node, outer: Names): Names {
    const all = list(clause['ctes']).map(each => (each as { CommonTableExpr: Node }).CommonTableExpr)
    const recursive = clause['recursive'] === true
    let names: Names = recursive ? new Set([...outer, ...all.map(cte => String(cte['ctename']))]) : outer
    for (const cte of all) {
      if (list(cte['aliascolnames']).length > 0) this.#renamed()
      this.#inFlow('shown', () => this.#walk(cte['ctequery'], names))
      this.#walk({ search: cte['search_clause'], cycle: cte['cycle_clause'] }, names)
      if (!recursive) names = new Set([...names, String(cte['ctename'])])
    }
    return names
  }

  #select(node: Node, names: Names): void {
    const { targetList, valuesLists, intoClause, lockingClause, larg, rarg, ...rest } = node
    if (intoClause !== undefined) {
      this.#add({ name: 'SELECT INTO', risk: 'write' })
      this.#made((intoClause as Node)['rel'])
      this.#storing = true
    }
    const pinned = this.#pinned
    this.#pinned = pinnedName(rest)
    if (lockingClause !== undefined) this.#add({ name: 'SELECT FOR UPDATE', risk: 'write' })
    this.#inFlow(this.#storing ? 'stored' : 'shown', () => this.#walk([targetList, valuesLists], names))
    // The branches of a UNION stand without a tag.
    for (const branch of [larg, rarg]) if (isNode(branch)) this.#visit('SelectStmt', branch, names)
    this.#inFlow(undefined, () => this.#walk({ ...rest, op: undefined }, names))
    this.#pinned = pinned
  }

  #change(tag: string, node: Node, names: Names): void {
    const {
      relation,
      returningClause,
      targetList,
      whereClause,
      onConflictClause,
      mergeWhenClauses,
      ...rest
    } = node
    this.#target(relation)
    if (isNode(relation)) this.#alias(relation)
    if ((tag === 'UpdateStmt' || tag === 'DeleteStmt') && !looksAtColumn(whereClause)) this.#where = false
    if (onConflictClause !== undefined && (onConflictClause as Node)['action'] === 'ONCONFLICT_UPDATE')
      this.#add({ name: 'UPDATE', risk: 'write' })
    for (const each of list(mergeWhenClauses)) {
      const command = (each as { MergeWhenClause?: Node }).MergeWhenClause?.['commandType']
      const name = String(command).replace('CMD_', '')
      if (['INSERT', 'UPDATE', 'DELETE'].includes(name))
        this.#add({ name, risk: name === 'DELETE' ? 'delete' : 'write' })
    }
    const before = this.#storing
    this.#storing = true
    this.#inFlow('stored', () => this.#walk([targetList, onConflictClause, mergeWhenClauses, rest], names))
    this.#storing = before
    this.#inFlow(undefined, () => this.#walk(whereClause, names))
    this.#inFlow('shown', () => this.#walk(returningClause, names))
  }

  #storingIn(node: Node, names: Names): void {
    const into = node['into'] as Node | undefined
    this.#made(into?.['rel'] ?? node['view'])
    const before = this.#storing
    this.#storing = true
    this.#inFlow('stored', () => this.#walk(node['query'], names))
    this.#storing = before
  }

  #copy(node: Node, names: Names): void {
    const outside = node['is_program'] === true || node['filename'] !== undefined
    const before = this.#storing
    this.#storing = outside
    const flow: Flow = outside ? 'stored' : 'shown'
    if (isNode(node['relation'])) {
      this.#relation(node['relation'], names)
      if (node['is_from'] !== true) {
        const named = list(node['attlist']).map(stringOf)
        for (const name of named.length === 0 ? ['*'] : named)
          this.#columns.push({ name, flow, alone: false })
      }
    }
    this.#inFlow(flow, () => this.#walk([node['query'], node['whereClause']], names))
    this.#storing = before
  }

  /** Only ANALYZE runs it; else the statement inside does nothing but be planned. */
  #explain(node: Node, names: Names): void {
    const analyze = list(node['options']).some(each => {
      const option = (each as { DefElem?: Node }).DefElem
      return option?.['defname'] === 'analyze' && !isOff(option['arg'])
    })
    const before = new Map(this.#operations)
    const seen = this.#columns.length
    this.#walk(node['query'], names)
    // A plan holds the statement's own words and no rows.
    for (const [at, each] of this.#columns.entries())
      if (at >= seen && each.flow === 'shown') this.#columns[at] = { ...each, flow: undefined }
    if (analyze) return
    this.#operations.clear()
    for (const [name, operation] of before) this.#operations.set(name, operation)
  }

  #relation(node: Node, names: Names, use: Reference['use'] = 'named'): void {
    const name = String(node['relname'])
    const schema = node['schemaname'] === undefined ? undefined : String(node['schemaname'])
    this.#alias(node)
    if (schema === undefined && names.has(name)) return
    this.#table(schema, name, use)
  }

  #made(relation: unknown): void {
    if (!isNode(relation)) return
    const temporary = relation['relpersistence'] === 't' || relation['schemaname'] === 'pg_temp'
    this.#relation(relation, noNames, temporary ? 'made temporary' : 'made')
  }

  /** The name or schema that a relation gets. */
  #moved(relation: Node, { renameType, objectType, subname, newname, newschema }: Node): void {
    const schema = newschema ?? relation['schemaname']
    // Rules for the old name no longer find it.
    if (renameType === 'OBJECT_COLUMN') this.#kept(String(subname))
    else if (/TABLE|VIEW/.test(`${String(renameType)}${String(objectType)}`)) this.#kept('*')
    const whole = newschema !== undefined || /TABLE|VIEW|SEQUENCE|INDEX|TYPE/.test(String(renameType))
    if (!whole) return
    const name = String(newschema === undefined ? newname : relation['relname'])
    this.#table(schema === undefined ? undefined : String(schema), name, 'made')
  }

  /** What is changed is never a name of WITH. */
  #target(relation: unknown): void {
    if (isNode(relation)) this.#relation(relation, noNames)
  }

  #table(schema: string | undefined, name: string, use: Reference['use'] = 'named'): void {
    if (name !== '*') {
      this.#tables.add(name)
      this.#qualified.add(schema === undefined ? name : `${schema}.${name}`)
    }
    const reference = { ...(schema === undefined ? {} : { schema }), name, use }
    this.#references.set(JSON.stringify(reference), reference)
  }

  #alias(node: Node): void {
    const alias = node['alias'] as Node | undefined
    if (alias === undefined) return
    this.#aliases.add(String(alias['aliasname']))
    if (list(alias['colnames']).length > 0) this.#renamed()
  }

  /** The statement keeps a column under another name. */
  #kept(name: string): void {
    this.#columns.push({ name, flow: 'stored', alone: false })
  }

  /** Columns got other names on the way: then any of them may flow anywhere. */
  #renamed(): void {
    this.#columns.push({ name: '*', flow: this.#storing ? 'stored' : 'shown', alone: false })
  }

  #column(node: Node): void {
    const fields = list(node['fields'])
    const last = fields.at(-1) as Node | undefined
    if (last === undefined) return
    const name = 'A_Star' in last ? '*' : stringOf(last)
    this.#columns.push({ name, flow: this.#flow, alone: fields.length === 1 })
    // `schema.table` or `alias.column.field` may name a row as well.
    if (fields.length > 2) for (const each of fields) this.#field(each)
  }

  #field(part: unknown): void {
    if (!isNode(part)) return
    if ('A_Star' in part) this.#columns.push({ name: '*', flow: this.#flow, alone: false })
    else if ('String' in part) this.#columns.push({ name: stringOf(part), flow: this.#flow, alone: true })
  }

  #call(node: Node, names: Names): void {
    const parts = list(node['funcname']).map(stringOf)
    const name = parts.join('.')
    this.#functions.add(name)
    if (bare(name) === 'set_config') {
      const [first, ...others] = list(node['args'])
      const args = isColumn(first, 'name') ? [this.#pinned ?? first, ...others] : list(node['args'])
      this.#settings.push(...settingsOf({ kind: 'set_config', args }))
    }
    // How many there are shows none of them. What is not known to be harmless may keep what it is given.
    if (bare(name) === 'set_config' || !isHarmless(name))
      this.#inFlow('stored', () => this.#walk(node, names))
    else if (bare(name) === 'count') this.#inFlow(undefined, () => this.#walk(node, names))
    else this.#walk(node, names)
  }

  #objects(objects: unknown, type: string): void {
    if (type === 'OBJECT_SCHEMA') for (const each of list(objects)) this.#table(stringOf(each), '*')
    for (const each of list(objects)) {
      const items = list((each as { List?: Node } | undefined)?.List?.['items']).map(stringOf)
      // These are named behind the table that they are of.
      if (/^OBJECT_(?:COLUMN|POLICY|RULE|TABCONSTRAINT|TRIGGER)$/.test(type)) items.pop()
      const name = items.at(-1)
      if (name !== undefined) this.#table(items.at(-2), name)
    }
  }

  #inFlow(flow: Flow, run: () => void): void {
    const before = this.#flow
    this.#flow = flow
    run()
    this.#flow = before
  }
}

/** Schemas of which a statement takes everything. */
function schemasOf(tag: string, node: Node): string[] {
  switch (tag) {
    case 'GrantStmt':
      return node['targtype'] === 'ACL_TARGET_ALL_IN_SCHEMA' ? list(node['objects']).map(stringOf) : []
    case 'ReindexStmt':
      return node['kind'] === 'REINDEX_OBJECT_SCHEMA' ? [String(node['name'])] : []
    case 'RenameStmt':
      return node['renameType'] === 'OBJECT_SCHEMA' ? [String(node['subname'])] : []
    case 'AlterOwnerStmt':
      return node['objectType'] === 'OBJECT_SCHEMA' ? [stringOf(node['object'])] : []
    case 'PublicationObjSpec':
      return node['pubobjtype'] === 'PUBLICATIONOBJ_TABLES_IN_SCHEMA' ? [String(node['name'])] : []
    default:
      return []
  }
}

/** The constant of `FROM pg_settings WHERE name = 'constant'`. */
function pinnedName({ fromClause, whereClause }: Node): unknown {
  const [from, ...more] = list(fromClause)
  const table = isNode(from) ? from['RangeVar'] : undefined
  const condition = isNode(whereClause) ? whereClause['A_Expr'] : undefined
  if (more.length > 0 || !isNode(table) || table['relname'] !== 'pg_settings' || !isNode(condition))
    return undefined
  const operator = list(condition['name']).map(stringOf).join('.')
  const plain = condition['kind'] === 'AEXPR_OP' && operator === '='
  return plain && isColumn(condition['lexpr'], 'name') ? condition['rexpr'] : undefined
}

function isColumn(value: unknown, name: string): boolean {
  const column = isNode(value) ? value['ColumnRef'] : undefined
  const fields = isNode(column) ? list(column['fields']).map(stringOf) : []
  return fields.length === 1 && fields[0] === name
}

function isOff(value: unknown): boolean {
  return /"(?:sval|str)":"(?:false|off|no|0)"|"ival":\{\}|"boolval":\{\}/i.test(JSON.stringify(value ?? ''))
}

function looksAtColumn(where: unknown): boolean {
  return where !== undefined && /"(?:ColumnRef|CurrentOfExpr)":/.test(JSON.stringify(where))
}
