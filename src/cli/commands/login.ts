import type { Command } from 'commander'
import { loginWithDevice, type LoginTokens, refreshLogin } from '../../identity/device-login.ts'
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
}

function clientOf({ issuer, client_id, scope, audience, allow_insecure_http }: SignIn) {
  if (issuer === undefined) throw new Failure('the gateway has no `sign_in.issuer` to sign in at')
  const more = audience === undefined ? {} : { audience }
  return { issuer, clientId: client_id, scope, allowInsecureHttp: allow_insecure_http, ...more }
}

/** The token that the gateway can check: the access token where it is a JWT, else the ID token. */
function keep(url: string, tokens: LoginTokens): Login {
  const token = tokens.accessToken.split('.').length === 3 ? tokens.accessToken : tokens.idToken
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

async function login(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const url = options.url ?? process.env['SALLYPORT_URL'] ?? (await readLogin())?.url
  if (url === undefined)
    throw new Failure('which gateway? give --url https://gateway.example.com', exit.usage)
  const signIn = await (await connect({ url, token: '' })).call<SignIn>('/sign-in')
  const tokens = await loginWithDevice(clientOf(signIn), prompt => {
    hint(`open ${paint('bold', prompt.verificationUriComplete ?? prompt.verificationUri)}`)
    hint(`and confirm the code ${paint('bold', prompt.userCode)}`)
  })
  await writeLogin(keep(url, tokens))
  await whoami(undefined, command)
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
  program.command('login').description('Sign in to a gateway through its identity provider').action(login)
  program
    .command('logout')
    .description('Forget the sign-in of this machine')
    .action(async () => {
      await removeLogin()
      hint('signed out')
    })
  program.command('whoami').description('Who the gateway takes you for').action(whoami)
}
