/** What SET, RESET, set_config and the modes of a transaction do, and which of it a session may never do. */
import type { Risk } from '../../model/action.ts'

/** One setting that a statement changes. */
export interface Setting {
  /** Lower case; `*` where it can't be told, or is all of them. */
  readonly name: string
  /** Undefined: reset, or not told by the text. */
  readonly value: string | undefined
  /** True for RESET and SET ... TO DEFAULT: back to what the session began with. */
  readonly reset: boolean
}

type Node = Readonly<Record<string, unknown>>

/** Of a VariableSetStmt, or of a call of set_config (`kind: 'set_config'`). */
export function settingsOf(node: Node): Setting[] {
  const kind = String(node['kind'])
  const args = (node['args'] ?? []) as readonly Node[]
  if (kind === 'set_config') return [configCall(args)]
  const name = String(node['name'] ?? '*').toLowerCase()
  if (kind === 'VAR_RESET_ALL') return [{ name: '*', value: undefined, reset: true }]
  if (kind === 'VAR_RESET' || kind === 'VAR_SET_DEFAULT') return [{ name, value: undefined, reset: true }]
  if (name === 'transaction' || name === 'session characteristics' || name === 'transaction snapshot')
    return args.flatMap(each => modeOf(each))
  const values = args.map(constant)
  const value = values.includes(undefined) ? undefined : values.join(', ')
  return [{ name, value, reset: false }]
}

function modeOf(each: Node): Setting[] {
  const option = each['DefElem'] as Node | undefined
  if (option === undefined) return []
  return [{ name: String(option['defname']), value: constant(option['arg'] as Node), reset: false }]
}

function configCall(args: readonly Node[]): Setting {
  const [name, value] = args
  const named = name && constant(name)
  if (named === undefined) return { name: '*', value: undefined, reset: false }
  return { name: named.toLowerCase(), value: value && constant(value), reset: false }
}

/** A constant as text; undefined for anything that is computed or bound. */
function constant(node: Node | undefined): string | undefined {
  const cast = node?.['TypeCast'] as Node | undefined
  if (cast !== undefined) return constant(cast['arg'] as Node)
  const value = node?.['A_Const'] as Record<string, Node> | undefined
  if (value === undefined) return undefined
  if (value['sval'] !== undefined) return String(value['sval']['sval'] ?? '')
  if (value['ival'] !== undefined) return String(value['ival']['ival'] ?? 0)
  if (value['fval'] !== undefined) return String(value['fval']['fval'] ?? '')
  if (value['boolval'] !== undefined) return value['boolval']['boolval'] === true ? 'on' : 'off'
  return undefined
}

/** Settings that say who one is, what one may see, or blind the server's own log. */
const grave =
  /^(?:role|session_authorization|session_replication_role|log_.*|.*_preload_libraries|dynamic_library_path|allow_system_table_mods|event_triggers|zero_damaged_pages|ignore_checksum_failure|password_encryption|createrole_self_grant|\*)$/

/** A name with a dot may be what a row-security policy looks at. */
export function settingRisk({ name, reset }: Setting): Risk {
  if (name === '*') return reset ? 'read' : 'admin'
  return grave.test(name) || name.includes('.') ? 'admin' : 'read'
}

const readOnlySettings = new Set(['transaction_read_only', 'default_transaction_read_only'])

/**
 * Why this setting is refused whatever policy says, or undefined. The gateway reads SQL with standard strings in
 * UTF-8; a server that reads it otherwise would run something else than what was judged. In a read-only session
 * nothing may turn that off.
 */
export function refusedSetting(setting: Setting, readOnly: boolean): string | undefined {
  const { name, value, reset } = setting
  if (reset) return undefined
  if (name === '*') {
    return 'set_config with a name that is not a constant is not supported'
  }
  if (name === 'standard_conforming_strings' && !isOn(value))
    return 'standard_conforming_strings must stay on'
  if ((name === 'client_encoding' || name === 'names') && !isReadableEncoding(value))
    return 'client_encoding must be UTF8'
  if (readOnly && readOnlySettings.has(name) && !isOn(value)) return 'this connection is read-only'
  return undefined
}

function isOn(value: string | undefined): boolean {
  return (
    value !== undefined &&
    ['on', 'true', 'yes', '1', 't', 'y', 'tru', 'tr', 'ye'].includes(value.toLowerCase())
  )
}

/** Encodings in which the bytes of a statement are what the gateway reads. */
export function isReadableEncoding(value: string | undefined): boolean {
  const plain = value?.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  return plain !== undefined && ['utf8', 'unicode', 'sqlascii', 'default'].includes(plain)
}
