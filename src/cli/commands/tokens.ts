import type { Command } from 'commander'
import { connect } from '../client.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson, relativeTime, table } from '../output.ts'

interface TokenView {
  readonly id: string
  readonly name: string
  readonly subject: { readonly id: string; readonly kind: string }
  readonly groups: readonly string[]
  readonly expires: string
  readonly revoked?: string
  readonly last_used?: string
}

interface CreateOptions {
  readonly kind: string
  readonly id?: string
  readonly email?: string
  readonly group: string[]
  readonly onBehalfOf?: string
  readonly lifetime?: string
}

async function create(name: string, choice: CreateOptions, command: Command): Promise<void> {
  const options = globals(command)
  const { kind, id = name, email, group, lifetime, onBehalfOf } = choice
  const body = {
    name,
    subject: { id, kind, ...(email === undefined ? {} : { email }) },
    groups: group,
    ...(onBehalfOf === undefined ? {} : { on_behalf_of: person(onBehalfOf) }),
    ...(lifetime === undefined ? {} : { lifetime }),
  }
  const made = await (await connect(options)).call<TokenView & { token: string }>('/tokens', {
    method: 'POST',
    body,
  })
  if (options.json === true) return printJson(made)
  print(made.token)
  hint(`this is the only time it is shown; it ends ${relativeTime(made.expires)} (${made.id})`)
}

/** `issuer#id`, or an e-mail address of a person whom the gateway itself vouches for. */
function person(text: string): { issuer: string; id: string; email?: string } {
  const at = text.indexOf('#')
  if (at > 0) return { issuer: text.slice(0, at), id: text.slice(at + 1) }
  if (text.includes('@')) return { issuer: 'sallyport', id: text, email: text }
  throw new Failure('--on-behalf-of takes an e-mail address, or issuer#id', exit.usage)
}

async function list(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const { tokens } = await (await connect(options)).call<{ tokens: TokenView[] }>('/tokens')
  if (options.json === true) return tokens.forEach(printJson)
  const rows = tokens.map(each => [
    each.id,
    each.name,
    each.subject.kind,
    each.subject.id,
    each.revoked === undefined ? relativeTime(each.expires) : paint('red', 'revoked'),
    each.last_used === undefined ? 'never' : relativeTime(each.last_used),
    each.groups.join(', '),
  ])
  print(table(['token', 'name', 'kind', 'subject', 'ends', 'used', 'groups'], rows))
}

async function revoke(id: string, _: unknown, command: Command): Promise<void> {
  await (await connect(globals(command))).call(`/tokens/${encodeURIComponent(id)}`, { method: 'DELETE' })
  hint(`revoked ${id}`)
}

export function tokenCommand(program: Command): void {
  const token = program
    .command('token')
    .description('Gateway tokens, for machines without an identity provider')
  token
    .command('create <name>')
    .description('Make a token; it is printed once')
    .option('--kind <kind>', 'agent or service', 'agent')
    .option('--id <id>', 'id of the subject; default: the name')
    .option('--email <address>', 'e-mail address of the subject')
    .option(
      '--group <group>',
      'a group, repeatable',
      (value: string, all: string[]) => [...all, value],
      [] as string[],
    )
    .option('--on-behalf-of <person>', 'the person an agent acts for: an e-mail address, or issuer#id')
    .option('--lifetime <duration>', 'such as 12h or 30d')
    .action(create)
  token.command('list').description('All tokens; never the tokens themselves').action(list)
  token.command('revoke <id>').description('Refuse a token from now on').action(revoke)
}
