import { chmod, lstat, rm } from 'node:fs/promises'
import { type ClientRequest, type IncomingMessage, request as plain } from 'node:http'
import { request as secure } from 'node:https'
import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Command } from 'commander'
import { networkGateway } from '../client.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, print, printJson } from '../output.ts'

/** What the gateway calls a wire inside HTTP. */
const tunnel = 'sallyport-wire'

interface Choice {
  readonly port: string
  readonly socket?: string
}

interface Gateway {
  readonly origin: string
  readonly token: () => Promise<string | undefined>
}

/** Asks for the tunnel. Resolves with its far end; rejects with Failure in the gateway's words. */
export function openTunnel(
  gateway: { readonly origin: string; readonly token: string },
  connection: string,
): Promise<Duplex> {
  const url = new URL(`${gateway.origin}/c/${encodeURIComponent(connection)}`)
  const open = url.protocol === 'https:' ? secure : plain
  const headers = { Connection: 'Upgrade', Upgrade: tunnel, Authorization: `Bearer ${gateway.token}` }
  return new Promise((resolve, reject) => {
    const asked: ClientRequest = open(url, { headers })
    asked.on('upgrade', (_response, socket, head: Buffer) => {
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    asked.on('response', (response: IncomingMessage) => {
      response.resume()
      const why =
        response.statusCode === 404
          ? `the gateway knows no connection ${connection} with a wire of its own`
          : `the gateway answers ${response.statusCode}`
      reject(new Failure(why, response.statusCode === 401 ? exit.unauthenticated : exit.failed))
    })
    asked.on('error', error =>
      reject(new Failure(`no gateway answers at ${gateway.origin} (${error.message})`, exit.unreachable)),
    )
    asked.end()
  })
}

/** One client of the local port: bytes to and fro until one of them ends. */
async function serve(client: Socket, gateway: Gateway, connection: string): Promise<void> {
  client.on('error', () => client.destroy())
  client.pause()
  const token = await gateway.token()
  if (token === undefined) throw new Failure('the sign-in has ended: `sallyport login`', exit.unauthenticated)
  const far = await openTunnel({ origin: gateway.origin, token }, connection)
  far.on('error', () => far.destroy())
  // What was said last still leaves: a cancel request is sent and its socket closed at once.
  client.on('close', () => far.end(() => far.destroy()))
  far.on('close', () => client.end(() => client.destroy()))
  client.pipe(far)
  far.pipe(client)
}

async function listen(server: Server, { port, socket }: Choice): Promise<string> {
  // Left over from an earlier one; what is no socket is not ours to remove.
  if (socket !== undefined && (await lstat(socket).catch(() => undefined))?.isSocket() === true)
    await rm(socket)
  const mask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      if (socket === undefined) server.listen(Number(port), '127.0.0.1', () => resolve())
      else server.listen(socket, () => resolve())
    })
  } finally {
    process.umask(mask)
  }
  if (socket !== undefined) {
    await chmod(socket, 0o600)
    return socket
  }
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

async function connect(connection: string, choice: Choice, command: Command): Promise<void> {
  const options = globals(command)
  const gateway = await networkGateway(options)
  const token = await gateway.token()
  if (token === undefined)
    throw new Failure('not signed in: `sallyport login`, or give --token', exit.unauthenticated)
  // A wrong name is better told now than to the first client.
  const first = await openTunnel({ origin: gateway.origin, token }, connection)
  first.destroy()
  const server = createServer({ noDelay: true }, client => {
    serve(client, gateway, connection).catch((error: unknown) => {
      hint(error instanceof Error ? error.message : String(error))
      client.destroy()
    })
  })
  const address = await listen(server, choice)
  if (options.json === true) printJson({ connection, address })
  else print(`${connection} is at ${address} until this ends; no password is needed`)
  await new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  server.close()
  if (choice.socket !== undefined) await rm(choice.socket, { force: true })
  process.exit(exit.ok)
}

export function connectCommand(program: Command): void {
  program
    .command('connect')
    .description('A local port to a connection whose clients speak no HTTP; it needs no password')
    .argument('<connection>', 'name of the connection')
    .option('--port <port>', 'port on loopback; 0 takes a free one', '0')
    .option('--socket <path>', 'a socket instead that only you can open')
    .action(connect)
}
