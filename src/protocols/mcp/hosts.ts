/**
 * Who a client may take this gateway for. A page on another site could have its own name resolve to this address ("DNS
 * rebinding") and speak to it as the user's browser; such a request names a host that is none of ours.
 */
import { isIP } from 'node:net'
import type { Gateway } from '../../gateway/gateway.ts'
import type { Connection } from '../../model/connection.ts'
import type { McpSettings } from './settings.ts'

export interface Here {
  readonly gateway: Pick<Gateway, 'publicUrl' | 'domain'>
  readonly connection: Pick<Connection, 'name'>
  readonly settings: Pick<McpSettings, 'hosts' | 'origins'>
}

/** `authority` is canonical, with or without port. An address is nobody's name, so nobody can have it resolve elsewhere. */
export function isKnownHost(authority: string, { gateway, connection, settings }: Here): boolean {
  const host = hostOf(authority)
  if (host === '' || host === 'localhost' || isIP(host) !== 0) return true
  const own = settings.hosts.map(each => hostOf(each.toLowerCase()))
  if (gateway.publicUrl !== undefined && gateway.publicUrl !== '')
    own.push(new URL(gateway.publicUrl).hostname)
  if (gateway.domain !== undefined) own.push(`${connection.name}.${gateway.domain}`)
  return own.includes(host)
}

/** Only browsers send an origin; a page of ours, of loopback, or one that was named may call. */
export function isKnownOrigin(origin: string | undefined, here: Here): boolean {
  if (origin === undefined || here.settings.origins.includes(origin)) return true
  let url: URL
  try {
    url = new URL(origin)
  } catch {
    return false
  }
  const host = url.hostname.replaceAll(/[[\]]/g, '')
  if (host === 'localhost' || host === '127.0.0.1' || host === '::1') return true
  return (
    here.gateway.publicUrl !== undefined &&
    here.gateway.publicUrl !== '' &&
    new URL(here.gateway.publicUrl).origin === origin
  )
}

function hostOf(authority: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(authority)
  return bracketed !== null ? bracketed[1]! : authority.replace(/:[0-9]+$/, '')
}
