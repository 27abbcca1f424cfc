/**
 * The plan that the server has for a statement, asked for on the session itself, so that its search_path, role and
 * temporary tables are those with which the statement would run. Nothing runs: it is EXPLAIN without ANALYZE, in a
 * transaction that is read-only and rolled back, within a second or two. Planning may still evaluate functions over
 * constants, so what calls functions that are not known to be harmless is not asked about.
 */
import { GatewayError } from '../../errors.ts'
import { cstring, int16, int32, message } from './codec.ts'
import type { Host } from './host.ts'
import { judge } from './judge.ts'
import { type BindMessage, readDataRow, readReport, sync } from './messages.ts'
import type { Unit } from './unit.ts'

const prefix = 'EXPLAIN (FORMAT TEXT) '
const planningMs = 2000
const lockMs = 500
/** A server that says nothing for so long is given up, and the session with it. */
const silenceMs = 10_000
const mostLines = 400
const mostBytes = 32 * 1024

/** What the server said: the lines of its plan, or the SQLSTATE of its refusal. */
export interface Plan {
  readonly lines: readonly string[]
  readonly cut: boolean
  readonly sqlState?: string
}

/** The statement that asks for this unit's plan; undefined: there is no plan of it, or asking is not safe. */
export function explaining(unit: Unit): Unit | undefined {
  const { judgement, problem, bind, types } = unit
  if (problem !== undefined || judgement.unknownFunctions.length > 0) return undefined
  const asked = judge(Buffer.from(prefix + judgement.text))
  if ('problem' in asked || asked.statements.length !== 1) return undefined
  const [only] = asked.statements
  // As judged, not as put together: it plans and does nothing else.
  if (only!.operations.length !== 1 || only!.operations[0]!.name !== 'EXPLAIN' || only!.risk !== 'read')
    return undefined
  return {
    judgement: only!,
    maxRows: 0,
    ...(bind === undefined ? {} : { bind }),
    ...(types === undefined ? {} : { types }),
  }
}

/**
 * Asks, and leaves the session as it was. The session must be at rest: in no transaction, or in one that has not
 * failed, and in sync. Throws GatewayError where it can't go on.
 */
export async function explain(host: Host, unit: Unit, name: string): Promise<Plan> {
  const inside = host.transaction === 'T'
  const mark = `"${name}"`
  const before = inside
    ? [`SAVEPOINT ${mark}`, 'SET LOCAL transaction_read_only = on']
    : ['BEGIN TRANSACTION READ ONLY']
  const limits = [`SET LOCAL statement_timeout = ${planningMs}`, `SET LOCAL lock_timeout = ${lockMs}`]
  const after = inside ? [`ROLLBACK TO SAVEPOINT ${mark}`, `RELEASE SAVEPOINT ${mark}`] : ['ROLLBACK']
  const plain = (text: string): Buffer => execution(name, { text })
  // An error skips what follows up to Sync, so that the plan is never asked for outside of that transaction.
  host.upstream.send(
    Buffer.concat([
      ...[...before, ...limits].map(plain),
      execution(name, { text: unit.judgement.text, bind: unit.bind, types: unit.types }),
      sync,
      closing(name),
      ...after.map(plain),
      sync,
    ]),
  )
  const giveUp = setTimeout(() => host.upstream.destroy(), silenceMs)
  try {
    return await answered(host)
  } finally {
    clearTimeout(giveUp)
  }
}

async function answered(host: Host): Promise<Plan> {
  const lines: string[] = []
  let size = 0
  let cut = false
  let sqlState: string | undefined
  for (let ready = 0; ready < 2; ) {
    const each = await host.answer()
    if (each.type === 'D') {
      const line = readDataRow(each.bytes)[0]?.toString('utf8') ?? ''
      size += line.length
      if (lines.length >= mostLines || size > mostBytes) cut = true
      else lines.push(line)
    } else if (each.type === 'E') {
      if (ready > 0) throw notUndone(host)
      sqlState = readReport(each.bytes).get('C') ?? ''
    } else if (each.type === 'Z') {
      ready++
      if (ready === 2 && String.fromCharCode(each.bytes[5]!) !== host.transaction) throw notUndone(host)
    }
  }
  return { lines, cut, ...(sqlState === undefined ? {} : { sqlState }) }
}

/** Nobody knows what the client's next statement would run in: the session ends. */
function notUndone({ upstream }: Host): GatewayError {
  upstream.destroy()
  return new GatewayError('upstream-invalid', { detail: 'the preview could not be undone' })
}

/** Parse, Bind, Execute and Close, under a name of its own: the client's unnamed ones stay. */
function execution(
  name: string,
  of: {
    readonly text: string
    readonly bind?: BindMessage | undefined
    readonly types?: readonly number[] | undefined
  },
): Buffer {
  const { text, bind, types = [] } = of
  const values = bind?.values ?? []
  const formats = bind?.formats ?? []
  return Buffer.concat([
    message('P', cstring(name), cstring(text), int16(types.length), ...types.map(oid)),
    message(
      'B',
      cstring(name),
      cstring(name),
      int16(formats.length),
      ...formats.map(int16),
      int16(values.length),
      ...values.flatMap(value => (value === null ? [int32(-1)] : [int32(value.length), value])),
      int16(0),
    ),
    message('E', cstring(name), int32(0)),
    closing(name),
  ])
}

function closing(name: string): Buffer {
  return Buffer.concat([message('C', cstring(`P${name}`)), message('C', cstring(`S${name}`))])
}

function oid(value: number): Buffer {
  return int32(value | 0)
}

/**
 * How many rows the plan expects to be changed, by table; where it changes none, how many it gives back. Read from the
 * form that EXPLAIN has had since PostgreSQL 8.
 */
export function estimatesOf(lines: readonly string[]): readonly string[] {
  const nodes = lines.map(nodeOf)
  const found: string[] = []
  nodes.forEach((node, at) => {
    if (node === undefined || !/^(?:Insert|Update|Delete|Merge) on /.test(node.text)) return
    const after = nodes.slice(at + 1)
    const end = after.findIndex(each => each !== undefined && each.depth <= node.depth)
    const under = (end < 0 ? after : after.slice(0, end)).filter(each => each !== undefined)
    const nearest = Math.min(...under.map(each => each.depth))
    const rows = under.filter(each => each.depth === nearest).reduce((sum, each) => sum + each.rows, 0)
    found.push(`${node.text}: about ${rows}`)
  })
  if (found.length === 0 && nodes[0] !== undefined) found.push(`about ${nodes[0].rows} given back`)
  return found
}

interface PlanNode {
  readonly depth: number
  readonly text: string
  readonly rows: number
}

function nodeOf(line: string): PlanNode | undefined {
  const found = /^( *)(->  )?(\S.*?)  \(cost=\S+ rows=(\d+) width=\d+\)/.exec(line)
  if (found === null) return undefined
  return { depth: found[1]!.length, text: found[3]!, rows: Number(found[4]) }
}
