/**
 * TLS on listeners, with or without certificates of clients. What is trusted is read from files and taken up again when
 * they change, so that a list of revocations works without a restart.
 */
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { CertificateConfig } from '../config/certificates.ts'
import type { StartTls } from '../gateway/protocol.ts'
import { keepCertificate } from '../identity/shown-certificate.ts'
import { watchFiles } from './reload.ts'

/** PEM texts; `clients` where certificates are asked for. */
export interface ListenerTls {
  readonly cert: string
  readonly key: string
  readonly clients?: ClientTrust
}

export interface ClientTrust {
  /** Name in `identity.certificates`. */
  readonly issuer: string
  /** Who shows none is turned away in the handshake. */
  readonly require: boolean
  readonly ca: string
  readonly crl?: string
}

/** Reads the authorities and revocations of one entry. */
export async function readTrust(
  base: string,
  { config, require }: { readonly config: CertificateConfig; readonly require: boolean },
): Promise<ClientTrust> {
  const ca = await readFile(resolve(base, config.ca), 'utf8')
  const crl = config.crl === undefined ? {} : { crl: await readFile(resolve(base, config.crl), 'utf8') }
  return { issuer: config.name, require, ca, ...crl }
}

/** Calls back with what the files hold, each time that they change; a file that can't be read changes nothing. */
export function watchTrust(
  base: string,
  of: { readonly config: CertificateConfig; readonly require: boolean },
  changed: (trust: ClientTrust) => void,
): () => void {
  const { ca, crl } = of.config
  const files = [ca, ...(crl === undefined ? [] : [crl])].map(each => resolve(base, each))
  return watchFiles(files, () => {
    readTrust(base, of).then(changed, () => undefined)
  })
}

/** What Node's servers are given for it. */
export function tlsOptions({ cert, key, clients }: ListenerTls) {
  return {
    cert,
    key,
    minVersion: 'TLSv1.2' as const,
    ...(clients === undefined
      ? {}
      : {
          ca: clients.ca,
          ...(clients.crl === undefined ? {} : { crl: clients.crl }),
          requestCert: true,
          // Without `require` what was shown is judged where it is known what else the client has shown.
          rejectUnauthorized: clients.require,
        }),
  }
}

/** Begins TLS on sockets whose protocol says when. */
export class TlsStarter {
  readonly #servers = new Map<string, Server>()
  readonly #waiting = new Map<string, (socket: TLSSocket) => void>()
  #tls: ListenerTls

  constructor(tls: ListenerTls) {
    this.#tls = tls
  }

  /** For handshakes from now on. */
  renew(tls: ListenerTls): void {
    this.#tls = tls
    for (const server of this.#servers.values()) server.setSecureContext(tlsOptions(tls))
  }

  /** Resolves after the handshake; rejects when there is none. */
  readonly start: StartTls = (socket, alpn) => {
    const raw = socket as Socket
    const place = placeOf(raw)
    return new Promise<TLSSocket>((done, failed) => {
      const over = (): void => {
        this.#waiting.delete(place)
        failed(new Error('closed'))
      }
      raw.once('close', over)
      this.#waiting.set(place, secured => {
        raw.off('close', over)
        done(secured)
      })
      this.#serverFor(alpn).emit('connection', raw)
    })
  }

  /** A server that never listens: only servers of Node's say whether a client's certificate verified. */
  #serverFor(alpn: readonly string[]): Server {
    const key = alpn.join()
    let server = this.#servers.get(key)
    if (server !== undefined) return server
    server = createServer({ ...tlsOptions(this.#tls), ALPNProtocols: [...alpn] })
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    server.on('secureConnection', secured => {
      const { clients } = this.#tls
      if (clients !== undefined) keepCertificate(secured, clients.issuer)
      const place = placeOf(secured)
      const found = this.#waiting.get(place)
      this.#waiting.delete(place)
      if (found === undefined) secured.destroy()
      else found(secured)
    })
    this.#servers.set(key, server)
    return server
  }
}

/** Names a connection for as long as it is open. */
function placeOf(socket: Duplex): string {
  const { localAddress, localPort, remoteAddress, remotePort } = socket as Socket
  return `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`
}
