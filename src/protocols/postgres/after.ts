/** What a statement that the server has carried out means for the gateway's own picture of the session. */
import { hash } from 'node:crypto'
import type { Host } from './host.ts'
import type { Unit } from './unit.ts'

/** Settings that decide what names mean, and as whom they are asked for. */
const meaningful: ReadonlySet<string> = new Set(['search_path', 'role', 'session_authorization'])

export function isMeaningful(name: string): boolean {
  return meaningful.has(name)
}

/** `alone`: it was in no transaction, so that what it set stays set. */
export function afterStatement(host: Host, { judgement }: Unit, alone: boolean): void {
  const { statements, state, catalogue } = host
  const { role, settings, operations } = judgement
  host.names.ran(judgement)
  const set = (name: string, value: string): void => {
    const before = state.changed.get(name)
    // A rollback may bring back what was: an approver is shown all that may hold.
    state.changed.set(name, alone || before === undefined ? value : shortened(`${before} or ${value}`))
  }
  for (const { name, value } of settings) {
    if (name === '*') for (const each of state.changed.keys()) set(each, 'default')
    else if (meaningful.has(name)) set(name, value ?? 'default')
  }
  if (
    operations.some(each => /^(?:CREATE|ALTER|DROP|SELECT INTO|DO|CALL|IMPORT|GRANT|REVOKE)/.test(each.name))
  ) {
    catalogue.forget()
    host.uncommitted = true
  }
  if (role.kind === 'prepare') {
    statements.prepare(role.name, { judgement, types: [] })
    statements.confirm(role.name)
  } else if (role.kind === 'deallocate') statements.deallocate(role.name)
  else if (role.kind === 'declare') statements.declare(role.name, judgement)
  else if (role.kind === 'close') {
    if (role.name === undefined) statements.closeCursors()
    else statements.closePortal(role.name)
  } else if (role.kind === 'discard') {
    state.changed.clear()
    statements.deallocate(undefined)
    statements.closeCursors()
  }
}

function shortened(text: string): string {
  return text.length <= 500 ? text : `sha256:${hash('sha256', text)}`
}
