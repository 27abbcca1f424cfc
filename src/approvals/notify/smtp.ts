/**
 * A small SMTP client (RFC 5321) for handing a message to the operator's own server: EHLO, STARTTLS (RFC 3207), AUTH
 * PLAIN and LOGIN (RFC 4954), one message per connection. It never falls back to a connection without TLS.
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface SmtpOptions {
  readonly host: string
  readonly port: number
  readonly tls: 'starttls' | 'implicit' | 'none'
  /** PEM of the authority to trust, besides nobody; default: those of the system. */
  readonly ca?: string
  /** For the whole conversation, milliseconds. */
  readonly timeoutMs: number
  readonly username?: string
  readonly password?: string
}

export interface Mail {
  readonly from: string
  readonly to: readonly string[]
  /** Headers and body; ASCII with CRLF line ends. */
  readonly message: string
}

/** The server said no. The words of the server are not repeated: only its code and at which step. */
export class SmtpRefusal extends Error {
  override readonly name = 'SmtpRefusal'
  /** `retry` for 4xx; `rejected` when it is about this message; `refused` when a person has to act. */
  readonly meaning: 'retry' | 'rejected' | 'refused'

  constructor(step: string, reply: Reply | undefined, meaning: SmtpRefusal['meaning']) {
    super(reply === undefined ? step : `${step}: ${reply.code}`)
    this.meaning = meaning
  }
}

interface Reply {
  readonly code: number
  readonly lines: readonly string[]
}

const mostReplyBytes = 64 * 1024
const address = /^[\x21-\x7e]{1,320}$/

/** Resolves when the server has taken responsibility for at least one recipient. */
export async function sendMail(options: SmtpOptions, mail: Mail, signal: AbortSignal): Promise<void> {
  if (![mail.from, ...mail.to].every(each => address.test(each) && !/[<>]/.test(each)))
    throw new SmtpRefusal('an address is none', undefined, 'refused')
  const wire = await Wire.open(options, AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMs)]))
  try {
    await wire.expect(220, 'greeting')
    let offered = await hello(wire)
    if (options.tls === 'starttls') {
      if (!offered.has('STARTTLS')) throw new SmtpRefusal('no STARTTLS is offered', undefined, 'refused')
      await wire.say('STARTTLS', 220)
      await wire.secure(options)
      offered = await hello(wire)
    }
    await logIn(wire, options, offered)
    await wire.say(`MAIL FROM:<${mail.from}>`, 250)
    await recipients(wire, mail.to)
    await wire.say('DATA', 354)
    await wire.say(`${stuffDots(mail.message)}.`, 250, 'message')
    await wire.say('QUIT', 221).catch(() => undefined)
  } finally {
    wire.close()
  }
}

async function hello(wire: Wire): Promise<ReadonlyMap<string, string>> {
  const { lines } = await wire.say('EHLO sallyport', 250)
  return new Map(
    lines.slice(1).map(line => {
      const [word = '', ...rest] = line.split(' ')
      return [word.toUpperCase(), rest.join(' ').toUpperCase()]
    }),
  )
}

async function logIn(wire: Wire, options: SmtpOptions, offered: ReadonlyMap<string, string>): Promise<void> {
  const { username, password } = options
  if (username === undefined || password === undefined) return
  const ways = (offered.get('AUTH') ?? '').split(' ')
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  if (ways.includes('PLAIN')) {
    await wire.say(`AUTH PLAIN ${base64(`\0${username}\0${password}`)}`, 235, 'sign-in')
  } else if (ways.includes('LOGIN')) {
    await wire.say('AUTH LOGIN', 334, 'sign-in')
    await wire.say(base64(username), 334, 'sign-in')
    await wire.say(base64(password), 235, 'sign-in')
  } else throw new SmtpRefusal('neither AUTH PLAIN nor LOGIN is offered', undefined, 'refused')
}

/** One recipient that is refused does not keep the others from hearing. */
async function recipients(wire: Wire, to: readonly string[]): Promise<void> {
  let last: SmtpRefusal | undefined
  let taken = 0
  for (const each of to) {
    try {
      await wire.say(`RCPT TO:<${each}>`, 250)
      taken++
    } catch (error) {
      if (!(error instanceof SmtpRefusal)) throw error
      last = error
    }
  }
  if (taken === 0 && last !== undefined) throw last
}

/** RFC 5321 section 4.5.2: a line that begins with a dot gets one more. */
export function stuffDots(message: string): string {
  const whole = message.endsWith('\r\n') ? message : `${message}\r\n`
  return whole.replaceAll(/^\./gm, '..')
}

class Wire {
  #socket: Socket
  #held = ''
  #ended: Error | undefined
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined
  readonly #signal: AbortSignal
  readonly #abort = (): void => this.#end(this.#signal.reason as Error)

  private constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket
    this.#signal = signal
    signal.addEventListener('abort', this.#abort)
    if (signal.aborted) this.#abort()
    this.#listen()
  }

  static async open(options: SmtpOptions, signal: AbortSignal): Promise<Wire> {
    const { host, port, ca } = options
    const socket =
      options.tls === 'implicit'
        ? connectTls({
            host,
            port,
            servername: host,
            minVersion: 'TLSv1.2',
            ...(ca === undefined ? {} : { ca }),
          })
        : connectTcp({ host, port })
    return new Wire(socket, signal)
  }

  /** Goes on under TLS. What came before the handshake was said by nobody known: then it is over (CVE-2011-0411). */
  async secure({ host, ca }: SmtpOptions): Promise<void> {
    const bare = this.#socket
    bare.removeAllListeners('data')
    if (this.#held !== '') throw new SmtpRefusal('data came before the handshake', undefined, 'refused')
    const secured = connectTls({
      socket: bare,
      servername: host,
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
    })
    this.#socket = secured
    this.#listen()
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve)
      secured.once('error', reject)
      secured.once('close', () => reject(new Error('closed')))
    })
  }

  /** Sends one line and reads its reply. `step` names it in errors, in place of a line that holds a secret. */
  async say(line: string, expected: number, step = line.split(/[ :]/)[0]!): Promise<Reply> {
    if (this.#ended === undefined) this.#socket.write(`${line}\r\n`)
    return await this.expect(expected, step)
  }

  async expect(expected: number, step: string): Promise<Reply> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended)
      this.#waiting = { resolve, reject }
      this.#read()
    })
    if (reply.code === expected || (expected === 250 && reply.code === 251)) return reply
    const passing = reply.code >= 400 && reply.code < 500
    throw new SmtpRefusal(step, reply, passing ? 'retry' : step === 'message' ? 'rejected' : 'refused')
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#abort)
    this.#socket.destroy()
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => {
      this.#held += chunk.toString('latin1')
      if (this.#held.length > mostReplyBytes) this.#end(new Error('the reply is too long'))
      else this.#read()
    })
    socket.on('error', error => this.#end(error))
    socket.on('close', () => this.#end(new Error('the server closed the connection')))
  }

  /** `250-first`, `250-second`, `250 last`. */
  #read(): void {
    if (this.#waiting === undefined) return
    const lines: string[] = []
    for (let at = 0; ; ) {
      const end = this.#held.indexOf('\r\n', at)
      if (end < 0) return
      const line = this.#held.slice(at, end)
      at = end + 2
      if (!/^\d{3}([ -]|$)/.test(line)) return this.#end(new Error('that is not SMTP'))
      lines.push(line.slice(4))
      if (line[3] === '-') continue
      this.#held = this.#held.slice(at)
      const { resolve } = this.#waiting
      this.#waiting = undefined
      return resolve({ code: Number(line.slice(0, 3)), lines })
    }
  }

  #end(error: Error): void {
    this.#ended ??= error
    this.#socket.destroy()
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(this.#ended)
  }
}
