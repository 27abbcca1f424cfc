/** A stand-in mail server: EHLO, STARTTLS, AUTH PLAIN and LOGIN, one mailbox for all, faults on purpose. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'

export interface ReceivedMail {
  readonly from: string
  readonly to: readonly string[]
  /** As sent, dots unstuffed. */
  readonly message: string
  readonly secure: boolean
  readonly user?: string
}

export type SmtpFault =
  | 'no-starttls'
  | 'greylist'
  | 'reject-data'
  | 'no-recipients'
  | 'silent'
  | 'inject'
  | 'garbage'

export interface SmtpReceiver {
  readonly port: number
  readonly mails: readonly ReceivedMail[]
  fault: SmtpFault | undefined
  close(): Promise<void>
}

export interface SmtpReceiverOptions {
  readonly tls?: { readonly key: string; readonly cert: string }
  readonly login?: { readonly username: string; readonly password: string; readonly way: 'PLAIN' | 'LOGIN' }
}

export async function startSmtpReceiver(options: SmtpReceiverOptions = {}): Promise<SmtpReceiver> {
  const mails: ReceivedMail[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    converse(socket, { options, mails, fault: () => receiver.fault })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const receiver: SmtpReceiver = {
    port: (server.address() as AddressInfo).port,
    mails,
    fault: undefined,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return receiver
}

interface House {
  readonly options: SmtpReceiverOptions
  readonly mails: ReceivedMail[]
  readonly fault: () => SmtpFault | undefined
}

function converse(bare: Socket, { options, mails, fault }: House): void {
  let socket: Socket = bare
  let held = ''
  let secure = false
  let user: string | undefined
  let from = ''
  let to: string[] = []
  let reading: 'command' | 'data' | 'username' | 'password' = 'command'
  let name = ''
  const say = (text: string): void => void socket.write(`${text}\r\n`)
  const text = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8')

  const logIn = (username: string, password: string): void => {
    const right = username === options.login?.username && password === options.login.password
    if (right) user = username
    say(right ? '235 welcome' : '535 wrong')
  }

  const command = (line: string): void => {
    const [word = ''] = line.toUpperCase().split(/[ :]/)
    switch (word) {
      case 'EHLO': {
        const offers = ['mail.example.com', 'PIPELINING']
        if (options.tls !== undefined && !secure && fault() !== 'no-starttls') offers.push('STARTTLS')
        if (options.login !== undefined && (secure || options.tls === undefined))
          offers.push(`AUTH ${options.login.way}`)
        return offers.forEach((each, i) => say(`250${i === offers.length - 1 ? ' ' : '-'}${each}`))
      }
      case 'STARTTLS': {
        socket.removeAllListeners('data')
        socket.write(fault() === 'inject' ? '220 go\r\n250 injected\r\n' : '220 go\r\n')
        const secured = new TLSSocket(bare, {
          isServer: true,
          secureContext: createSecureContext(options.tls),
        })
        secured.on('error', () => undefined)
        secure = true
        socket = secured
        secured.on('data', read)
        return
      }
      case 'AUTH': {
        if (/^AUTH LOGIN$/i.test(line)) {
          reading = 'username'
          return say('334 VXNlcm5hbWU6')
        }
        const [, username = '', password = ''] = text(line.split(' ')[2] ?? '').split('\0')
        return logIn(username, password)
      }
      case 'MAIL':
        if (options.login !== undefined && user === undefined) return say('530 sign in first')
        if (fault() === 'greylist') return say('451 come back later')
        from = /<(.*)>/.exec(line)?.[1] ?? ''
        to = []
        return say('250 ok')
      case 'RCPT': {
        const address = /<(.*)>/.exec(line)?.[1] ?? ''
        if (fault() === 'no-recipients' || address.startsWith('nobody@')) return say('550 no such person')
        to.push(address)
        return say('250 ok')
      }
      case 'DATA':
        reading = 'data'
        return say('354 go on')
      case 'QUIT':
        say('221 bye')
        return void socket.end()
      default:
        return say('500 what?')
    }
  }

  function read(chunk: Buffer): void {
    held += chunk.toString('latin1')
    for (;;) {
      if (reading === 'data') {
        const end = held.indexOf('\r\n.\r\n')
        if (end < 0) return
        const message = `${held.slice(0, end)}\r\n`.replaceAll(/^\./gm, '')
        held = held.slice(end + 5)
        reading = 'command'
        if (fault() === 'reject-data') say('554 not this')
        else {
          mails.push({ from, to, message, secure, ...(user === undefined ? {} : { user }) })
          say('250 taken')
        }
        continue
      }
      const end = held.indexOf('\r\n')
      if (end < 0) return
      const line = held.slice(0, end)
      held = held.slice(end + 2)
      if (reading === 'username') {
        name = text(line)
        reading = 'password'
        say('334 UGFzc3dvcmQ6')
      } else if (reading === 'password') {
        reading = 'command'
        logIn(name, text(line))
      } else command(line)
    }
  }

  if (fault() === 'silent') return
  if (fault() === 'garbage') return say('<html>')
  socket.on('data', read)
  say('220 mail.example.com')
}
