import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type SecureContextOptions } from 'node:tls'
import type { SendResult, Sink } from '../sink.ts'
import { syslogMessage, syslogStub, type SyslogHeader } from './message.ts'

export interface SyslogSinkOptions extends SyslogHeader {
  readonly name: string
  readonly host: string
  readonly port: number
  /** Undefined speaks plain TCP, which the configuration allows to this machine only. Read before each connection. */
  readonly tls: (() => Promise<SecureContextOptions>) | undefined
  /**
   * `close`: a batch counts when the receiver has read to its end and closed in its turn. `written`: when the system
   * has taken the bytes, for receivers that never close; what is on its way when a receiver dies is lost then.
   */
  readonly acknowledge: 'close' | 'written'
  readonly timeoutMs: number
  readonly maxEvents: number
  readonly maxBytes: number
}

/**
 * Ships by RFC 5424 over TLS (RFC 5425), octet counted. Syslog has no acknowledgement: what a sender has written may
 * still be lost in a buffer. So each batch has a connection of its own, which we end and then wait until the receiver
 * ends it too: a process that has read up to the end has read all of it (docs/adr/0019-sinks.md).
 */
export function createSyslogSink(options: SyslogSinkOptions): Sink {
  return {
    name: options.name,
    type: 'syslog',
    limits: { maxEvents: options.maxEvents, maxBytes: options.maxBytes, maxEventBytes: 64_000 },
    encode: record => syslogMessage(record, options),
    stub: (record, reason) => syslogStub(record, reason, options),
    async send(batch, signal): Promise<SendResult> {
      let socket: Socket
      try {
        socket = await open(options)
      } catch {
        return { result: 'refused', detail: 'the certificates or the key can not be read' }
      }
      return await deliver(socket, Buffer.concat(batch.map(({ body }) => body)), { ...options, signal })
    },
    close: () => Promise.resolve(),
  }
}

async function open({ host, port, tls }: SyslogSinkOptions): Promise<Socket> {
  if (tls === undefined) return connectPlain({ host, port, allowHalfOpen: true })
  const context = await tls()
  return connectTls({
    ...context,
    host,
    port,
    minVersion: 'TLSv1.2',
    ...(isIP(host) === 0 ? { servername: host } : {}),
  })
}

type Given = Pick<SyslogSinkOptions, 'acknowledge' | 'timeoutMs' | 'tls'> & { readonly signal: AbortSignal }

/** Between the last byte and our end, so that a receiver that closes of itself is seen to do so. */
const lookMs = 50

/**
 * Of a timer and what has arrived meanwhile, a busy process sees the timer first: an end that is there already would
 * pass for an answer to ours. Two rounds of the event loop, since the first may only bring the other side to end.
 */
function afterWhatArrived(then: () => void): void {
  setImmediate(() => setImmediate(then))
}

/** Never rejects. A receiver that ends before we do has not read everything. */
function deliver(socket: Socket, bytes: Buffer, given: Given): Promise<SendResult> {
  const { promise, resolve } = Promise.withResolvers<SendResult>()
  let connected = false
  let settled = false
  let written = false
  let ending = false
  let ended = false
  let pause: NodeJS.Timeout | undefined
  const settle = (result: SendResult): void => {
    settled = true
    clearTimeout(timer)
    clearTimeout(pause)
    given.signal.removeEventListener('abort', stopped)
    socket.destroy()
    resolve(result)
  }
  const retry = (detail: string): void => settle({ result: 'retry', detail })
  const stopped = (): void => retry('stopped')
  const timer = setTimeout(() => {
    retry(
      written
        ? `not read to the end within ${given.timeoutMs} ms`
        : `no connection within ${given.timeoutMs} ms`,
    )
  }, given.timeoutMs)
  given.signal.addEventListener('abort', stopped)
  socket.on('error', error => settle(faultOf(error, connected && given.tls !== undefined)))
  socket.once(given.tls === undefined ? 'connect' : 'secureConnect', () => {
    connected = true
    socket.write(bytes, error => {
      if (error != null) return
      written = true
      if (given.acknowledge === 'written') return settle({ result: 'accepted' })
      pause = setTimeout(
        () =>
          afterWhatArrived(() => {
            if (settled) return
            ending = true
            socket.end()
          }),
        lookMs,
      )
    })
  })
  // Whatever a receiver says is of no meaning here, but unread bytes would keep the end from being seen.
  socket.resume()
  socket.on('end', () => {
    ended = ending
    if (!ending) retry('the receiver closed before it had everything')
  })
  socket.on('close', hadError => {
    if (!hadError && ended) settle({ result: 'accepted' })
    else retry('the connection was cut')
  })
  if (given.signal.aborted) stopped()
  return promise
}

/**
 * What is not trusted, theirs or ours, and what speaks no TLS at all waits for a person. With TLS 1.3 a receiver judges
 * our certificate after we hold the connection for open, and some (rsyslog with GnuTLS) then cut it without a word.
 */
function faultOf(error: Error & { readonly code?: string }, afterHandshake: boolean): SendResult {
  const code = error.code ?? error.name
  if (/CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS|ALERT|UNKNOWN_CA|WRONG_VERSION/.test(code))
    return { result: 'refused', detail: `connection: ${code}` }
  const hint = afterHandshake ? ', cut after the handshake: does the receiver accept our certificate?' : ''
  return { result: 'retry', detail: `connection: ${code}${hint}` }
}
