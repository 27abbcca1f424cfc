import type { Command } from 'commander'
import {
  type LoginClient,
  loginWithDevice,
  type LoginTokens,
  refreshLogin,
} from '../../identity/device-login.ts'
import type { SubjectFacts } from '../../model/subject.ts'
import { connect } from '../client.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { type Login, onRefresh, readLogin, removeLogin, writeLogin } from '../login-store.ts'
import { hint, paint, print, printJson } from '../output.ts'

interface SignIn {
  /** Absent where the gateway has no issuer with a device grant. */
  readonly issuer?: string
  readonly client_id: string
  readonly scope: string
  readonly audience?: string
  readonly allow_insecure_http: boolean
  /** The gateway's own device grant. */
  readonly device: { readonly authorization: string; readonly token: string; readonly client_id: string }
}

function clientOf(
  { issuer, client_id, scope, audience, allow_insecure_http, device }: SignIn,
  { url, browser }: { readonly url: string; readonly browser: boolean },
): LoginClient {
  if (issuer === undefined || browser) {
    const endpoints = {
      authorization: new URL(device.authorization, url).href,
      token: new URL(device.token, url).href,
    }
    return { issuer: originOf(url), clientId: device.client_id, endpoints }
  }
  const more = audience === undefined ? {} : { audience }
  return { issuer, clientId: client_id, scope, allowInsecureHttp: allow_insecure_http, ...more }
}

function originOf(url: string): string {
  return new URL(url).origin
}

/** The token that the gateway can check: its own; else the access token where it is a JWT, else the ID token. */
function keep(url: string, tokens: LoginTokens): Login {
  const own = tokens.issuer === originOf(url)
  const token = own || tokens.accessToken.split('.').length === 3 ? tokens.accessToken : tokens.idToken
  if (token === undefined) throw new Failure('the issuer gave no token that a gateway can check')
  const { issuer, clientId, refreshToken } = tokens
  const expiresAt = tokens.expiresAt ?? Date.now() + 3_600_000
  return { url, token, expiresAt, issuer, clientId, ...(refreshToken === undefined ? {} : { refreshToken }) }
}

onRefresh(async login => {
  if (login.refreshToken === undefined) return undefined
  return keep(
    login.url,
    await refreshLogin({ issuer: login.issuer, clientId: login.clientId }, login.refreshToken),
  )
})

async function login({ browser = false }: { browser?: boolean }, command: Command): Promise<void> {
  const options = globals(command)
  const url = options.url ?? process.env['SALLYPORT_URL'] ?? (await readLogin())?.url
  if (url === undefined)
    throw new Failure('which gateway? give --url https://gateway.example.com', exit.usage)
  const signIn = await (await connect({ url, token: '' })).call<SignIn>('/sign-in')
  const tokens = await loginWithDevice(clientOf(signIn, { url, browser }), prompt => {
    hint(`open ${paint('bold', prompt.verificationUriComplete ?? prompt.verificationUri)}`)
    hint(`and confirm the code ${paint('bold', prompt.userCode)}`)
  })
  await writeLogin(keep(url, tokens))
  await whoami(undefined, command)
}

/** What the gateway gave ends there; what an issuer gave is forgotten here and ends by itself. */
async function logout({ everywhere = false }: { everywhere?: boolean }): Promise<void> {
  const login = await readLogin()
  await removeLogin()
  if (login !== undefined && login.issuer === originOf(login.url)) {
    const url = new URL(`/auth/sign-out${everywhere ? '?everywhere=true' : ''}`, login.url)
    const headers = { authorization: `Bearer ${login.token}` }
    const answer = await fetch(url, { method: 'POST', headers }).catch(() => undefined)
    if (answer?.ok !== true)
      throw new Failure('forgotten here; the gateway was not reached, and the session there ends by itself')
  } else if (everywhere) {
    throw new Failure('forgotten here; the issuer of this sign-in alone can end what else it gave')
  }
  hint('signed out')
}

async function whoami(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const me = await (await connect(options)).call<{
    subject: SubjectFacts
    groups: string[]
    roles: string[]
  }>('/me')
  if (options.json === true) return printJson(me)
  const { subject } = me
  print(`${paint('bold', subject.email ?? subject.name ?? subject.id)} (${subject.kind}, ${subject.issuer})`)
  print(`  roles   ${me.roles.join(', ') || 'none'}`)
  print(`  groups  ${me.groups.join(', ') || 'none'}`)
}

export function loginCommand(program: Command): void {
  program
    .command('login')
    .description(
      'Sign in to a gateway: at its identity provider, or in the browser with whatever the console takes',
    )
    .option('--browser', 'confirm at the gateway, by SAML or a password too, also where there is an issuer')
    .action(login)
  program
    .command('logout')
    .description('Forget the sign-in of this machine')
    .option('--everywhere', 'end all your sessions at the gateway, of browsers too')
    .action(logout)
  program.command('whoami').description('Who the gateway takes you for').action(whoami)
}
