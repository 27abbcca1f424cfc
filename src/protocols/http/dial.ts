/** Whether anyone answers at an upstream's address; for `check`. */
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { UpstreamBase } from './flavour.ts'
import type { TlsOptions } from './upstream.ts'

/** Connects, checks the certificate, and hangs up. Resolves with what went wrong, or undefined. */
export function dial(to: UpstreamBase, trust: TlsOptions, timeoutMs: number): Promise<string | undefined> {
  const url = new URL(to.origin)
  const secure = url.protocol === 'https:'
  const host = url.hostname.replaceAll(/[[\]]/g, '')
  const port = Number(url.port || (secure ? 443 : 80))
  return new Promise(resolve => {
    const socket = secure ? connectTls({ host, port, ...named(host), ...trust }) : connectTcp({ host, port })
    const done = (problem?: string): void => {
      socket.destroy()
      resolve(problem)
    }
    socket.setTimeout(timeoutMs, () => done('no answer in time'))
    socket.once(secure ? 'secureConnect' : 'connect', () => done())
    socket.once('error', error => done((error as { code?: string }).code ?? 'failed'))
  })
}

/** An address is no server name (RFC 6066 section 3). */
function named(host: string): { readonly servername?: string } {
  return /^[0-9.]+$|:/.test(host) ? {} : { servername: host }
}
