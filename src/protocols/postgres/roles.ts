/** What a statement means for the session beside its effect on data: prepared statements, cursors, transactions, COPY. */

export type Role =
  | { readonly kind: 'plain' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'prepare'; readonly name: string }
  | { readonly kind: 'execute'; readonly name: string }
  | { readonly kind: 'deallocate'; readonly name: string | undefined }
  | { readonly kind: 'declare'; readonly name: string }
  | { readonly kind: 'fetch'; readonly name: string }
  | { readonly kind: 'close'; readonly name: string | undefined }
  | { readonly kind: 'discard' }
  | { readonly kind: 'end' }
  | { readonly kind: 'begin' }
  | {
      readonly kind: 'copy'
      readonly into: boolean
      /** Undefined: a query's columns, or all of a table's. */
      readonly columns: readonly string[] | undefined
      readonly table: string | undefined
      readonly schema: string | undefined
      /** Lower case: `text`, `csv`, `binary`. */
      readonly format: string
      /** True where the options change how fields are told apart. */
      readonly special: boolean
      /** True where the first line may hold names. */
      readonly header: boolean
    }

type Node = Readonly<Record<string, unknown>>

export function roleOf(stmt: unknown): Role {
  const entry = Object.entries((stmt ?? {}) as Record<string, Node>)[0]
  if (entry === undefined) return { kind: 'empty' }
  const [tag, node] = entry
  const name = (key: string): string => (typeof node[key] === 'string' ? node[key] : '')
  switch (tag) {
    case 'PrepareStmt':
      return { kind: 'prepare', name: name('name') }
    case 'ExecuteStmt':
      return { kind: 'execute', name: name('name') }
    case 'DeallocateStmt':
      return { kind: 'deallocate', name: node['isall'] === true ? undefined : name('name') }
    case 'DeclareCursorStmt':
      return { kind: 'declare', name: name('portalname') }
    case 'FetchStmt':
      return { kind: 'fetch', name: name('portalname') }
    case 'ClosePortalStmt':
      return { kind: 'close', name: node['portalname'] === undefined ? undefined : name('portalname') }
    case 'DiscardStmt':
      return node['target'] === 'DISCARD_ALL' ? { kind: 'discard' } : { kind: 'plain' }
    case 'TransactionStmt':
      return transactionRole(String(node['kind']))
    case 'CopyStmt':
      return copyRole(node)
    case 'ExplainStmt':
      return explainRole(node)
    case 'CreateTableAsStmt':
      return executeInside(node['query'])
    default:
      return { kind: 'plain' }
  }
}

function transactionRole(kind: string): Role {
  if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') return { kind: 'begin' }
  return /_(COMMIT|ROLLBACK|PREPARE)$/.test(kind) ? { kind: 'end' } : { kind: 'plain' }
}

/** `EXPLAIN ANALYZE EXECUTE x` and `CREATE TABLE t AS EXECUTE x` run what was prepared. */
function explainRole(node: Node): Role {
  return executeInside(node['query'])
}

function executeInside(query: unknown): Role {
  const inside = (query ?? {}) as { ExecuteStmt?: { name?: string }; CreateTableAsStmt?: { query?: unknown } }
  if (inside.CreateTableAsStmt !== undefined) return executeInside(inside.CreateTableAsStmt.query)
  return inside.ExecuteStmt === undefined
    ? { kind: 'plain' }
    : { kind: 'execute', name: inside.ExecuteStmt.name ?? '' }
}

const spacing = new Set(['delimiter', 'null', 'quote', 'escape', 'default', 'encoding', 'force_quote'])

function copyRole(node: Node): Role {
  if (node['filename'] !== undefined || node['is_program'] === true) return { kind: 'plain' }
  const options = new Map<string, unknown>()
  for (const each of (node['options'] ?? []) as readonly { DefElem: Node }[])
    options.set(String(each.DefElem['defname']), each.DefElem['arg'])
  const given = (options.get('format') as { String?: { sval?: string } } | undefined)?.String?.sval
  const columns = (node['attlist'] as readonly { String?: { sval?: string } }[] | undefined)?.map(
    each => each.String?.sval ?? '',
  )
  const relation = node['relation'] as { relname?: string; schemaname?: string } | undefined
  return {
    kind: 'copy',
    into: node['is_from'] === true,
    columns,
    table: relation?.relname,
    schema: relation?.schemaname,
    format: (given ?? 'text').toLowerCase(),
    header: options.has('header'),
    special: [...options.keys()].some(name => spacing.has(name)),
  }
}
