import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { Agent, type Dispatcher, request } from 'undici'
import { readDataDirectory, socketPath } from '../config/local.ts'
import { readLogin, refreshLogin } from './login-store.ts'
import { exit, Failure } from './failure.ts'

/** Options that every command has. */
export interface GlobalOptions {
  readonly url?: string
  readonly token?: string
  readonly config?: string
  readonly json?: boolean
}

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>>
  readonly body?: unknown
  /** How long an answer may take, milliseconds; default: two minutes. */
  readonly patience?: number
}

/** The API as the commands use it. Throws Failure with the problem's words. */
export interface ApiClient {
  /** Address for people: the URL, or the local socket. */
  readonly where: string
  call<T>(path: string, request?: ApiRequest): Promise<T>
  /** The answer's body as it arrives, for streams and exports. */
  stream(path: string, request?: ApiRequest): Promise<AsyncIterable<Buffer>>
}

/**
 * The gateway to talk to: `--url` or SALLYPORT_URL with a token (`--token`, SALLYPORT_TOKEN, or the one that
 * `sallyport login` kept); else the running gateway of this machine through the socket in its data directory, which
 * only its own user can open.
 */
export async function connect(options: GlobalOptions): Promise<ApiClient> {
  const url = options.url ?? process.env['SALLYPORT_URL']
  const token = options.token ?? process.env['SALLYPORT_TOKEN']
  if (url !== undefined) return remote(url, token ?? (await refreshLogin(url)))
  const socket = localSocket(options.config)
  if (socket !== undefined && token === undefined) return local(socket)
  const login = await readLogin()
  if (login !== undefined) return remote(login.url, token ?? (await refreshLogin(login.url)))
  throw new Failure(
    'no gateway given: use --url or SALLYPORT_URL, sign in with `sallyport login`, or run this beside the sallyport.yaml of a running gateway',
    exit.unreachable,
  )
}

/** A gateway by its address, for what goes over the network only. `token` is renewed each time where it can be. */
export async function networkGateway(
  options: GlobalOptions,
): Promise<{ readonly origin: string; readonly token: () => Promise<string | undefined> }> {
  const url = options.url ?? process.env['SALLYPORT_URL'] ?? (await readLogin())?.url
  if (url === undefined)
    throw new Failure(
      'no gateway given: use --url or SALLYPORT_URL, or sign in with `sallyport login`',
      exit.usage,
    )
  const given = options.token ?? process.env['SALLYPORT_TOKEN']
  return { origin: url.replace(/\/+$/, ''), token: async () => given ?? (await refreshLogin(url)) }
}

function localSocket(config = 'sallyport.yaml'): string | undefined {
  const data = readDataDirectory(resolve(config))
  const path = data === undefined ? undefined : socketPath(data)
  return path !== undefined && existsSync(path) ? path : undefined
}

function remote(url: string, token: string | undefined): ApiClient {
  return client({ where: url, origin: url.replace(/\/+$/, ''), ...(token === undefined ? {} : { token }) })
}

function local(socket: string): ApiClient {
  const dispatcher = new Agent({ connect: { socketPath: socket } })
  return client({ where: socket, origin: 'http://localhost', dispatcher })
}

interface Target {
  readonly where: string
  readonly origin: string
  readonly token?: string
  readonly dispatcher?: Dispatcher
}

function client(target: Target): ApiClient {
  async function send(
    path: string,
    { method = 'GET', query = {}, body, patience = 120_000 }: ApiRequest,
  ): Promise<Dispatcher.ResponseData> {
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) {
      for (const each of value === undefined ? [] : [value].flat()) search.append(name, String(each))
    }
    const address = `${target.origin}/api/v1${path}${search.size === 0 ? '' : `?${search.toString()}`}`
    try {
      return await request(address, {
        method,
        headersTimeout: patience,
        bodyTimeout: 0,
        headers: {
          ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(target.dispatcher === undefined ? {} : { dispatcher: target.dispatcher }),
      })
    } catch (error) {
      throw new Failure(
        `no gateway answers at ${target.where} (${(error as Error).message})`,
        exit.unreachable,
      )
    }
  }

  async function checked(path: string, asked: ApiRequest): Promise<Dispatcher.ResponseData> {
    const response = await send(path, asked)
    if (response.statusCode < 300) return response
    const text = await response.body.text()
    throw problemFailure(response.statusCode, text)
  }

  return {
    where: target.where,
    async call<T>(path: string, asked: ApiRequest = {}) {
      const { body } = await checked(path, asked)
      const text = await body.text()
      return (text === '' ? undefined : JSON.parse(text)) as T
    },
    stream: async (path, asked = {}) => (await checked(path, asked)).body as AsyncIterable<Buffer>,
  }
}

function problemFailure(status: number, text: string): Failure {
  const problem = parse(text) as { title?: string; detail?: string; code?: string } | undefined
  const said = [problem?.title ?? `status ${status}`, problem?.detail]
    .filter(part => part !== undefined)
    .join(': ')
  if (status === 401)
    return new Failure(`${said}. Sign in with \`sallyport login\`, or pass --token`, exit.unauthenticated)
  return new Failure(said)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Splits a stream of bytes into lines. */
export async function* lines(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let held = ''
  for await (const chunk of stream) {
    const parts = (held + decoder.decode(chunk, { stream: true })).split('\n')
    held = parts.pop()!
    yield* parts
  }
  if (held !== '') yield held
}
