/** What a statement that the server has carried out means for the gateway's own picture of the session. */
import type { Host } from './host.ts'
import type { Unit } from './unit.ts'

/** Settings that decide what names mean, and as whom they are asked for. */
const meaningful: ReadonlySet<string> = new Set(['search_path', 'role', 'session_authorization'])

export function isMeaningful(name: string): boolean {
  return meaningful.has(name)
}

export function afterStatement(host: Host, { judgement, inner }: Unit): void {
  const { statements, state, catalogue } = host
  const { role, settings, operations } = judgement
  for (const { name, value } of settings) {
    if (name === '*') for (const each of meaningful) state.changed.delete(each)
    else if (meaningful.has(name)) state.changed.set(name, value ?? '')
  }
  if (operations.some(each => /^(?:CREATE|ALTER|DROP|SELECT INTO|DO|CALL)/.test(each.name)))
    catalogue.forget()
  switch (role.kind) {
    case 'prepare':
      statements.prepare(role.name, { judgement, types: [] })
      return statements.confirm(role.name)
    case 'deallocate':
      return statements.deallocate(role.name)
    case 'discard':
      state.changed.clear()
      statements.deallocate(undefined)
      return statements.closeCursors()
    case 'declare':
      return statements.declare(role.name, judgement)
    case 'close':
      return role.name === undefined ? statements.closeCursors() : statements.closePortal(role.name)
    default:
      if (inner !== undefined) return
  }
}
