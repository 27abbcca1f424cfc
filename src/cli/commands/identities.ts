import type { Command } from 'commander'
import { connect } from '../client.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson, relativeTime, table, visible } from '../output.ts'

interface Person {
  readonly issuer: string
  readonly id: string
  readonly name?: string
  readonly email?: string
}

interface RestrictionView {
  readonly id: string
  readonly kind: 'suspend' | 'ask' | 'slow'
  readonly state: string
  readonly who: Person & { readonly on_behalf_of?: Person }
  readonly reason: string
  readonly since: string
  readonly until?: string
}

/** `issuer#id`, or a name that the gateway looks up among those who acted. */
function identityOf(text: string): string | { issuer: string; id: string } {
  const at = text.indexOf('#')
  return at > 0 ? { issuer: text.slice(0, at), id: text.slice(at + 1) } : text
}

function named({ who }: RestrictionView): string {
  const nameOf = (person: Person): string => person.email ?? person.name ?? person.id
  const acted = who.on_behalf_of
  return visible(acted === undefined ? nameOf(who) : `${nameOf(who)} for ${nameOf(acted)}`)
}

const kinds = { suspend: 'suspended', ask: 'asked about', slow: 'slowed down' } as const

async function suspended(choice: { readonly all?: boolean }, command: Command): Promise<void> {
  const options = globals(command)
  const query = { all: choice.all === true ? 'true' : undefined }
  const { restrictions } = await (await connect(options)).call<{ restrictions: RestrictionView[] }>(
    '/identities/suspended',
    { query },
  )
  if (options.json === true) return restrictions.forEach(printJson)
  if (restrictions.length === 0) return hint('nobody is suspended or restricted')
  const rows = restrictions.map(each => [
    each.id,
    each.state === 'in-force' ? paint('red', kinds[each.kind]) : `${kinds[each.kind]} (${each.state})`,
    named(each),
    relativeTime(each.since),
    each.until === undefined ? 'until cleared' : relativeTime(each.until),
    visible(each.reason),
  ])
  print(table(['restriction', 'what', 'who', 'since', 'ends', 'why'], rows))
}

async function suspend(
  who: string,
  choice: { readonly onBehalfOf?: string; readonly reason: string },
  command: Command,
): Promise<void> {
  const options = globals(command)
  const { reason, onBehalfOf } = choice
  const body = {
    identity: identityOf(who),
    ...(onBehalfOf === undefined ? {} : { on_behalf_of: identityOf(onBehalfOf) }),
    reason,
  }
  const made = await (await connect(options)).call<RestrictionView>('/identities/suspend', {
    method: 'POST',
    body,
  })
  if (options.json === true) return printJson(made)
  print(`${paint('red', 'suspended')} ${named(made)}  ${made.id}`)
  hint(`another person lets it act again: sallyport identities clear ${made.id} --reason <why>`)
}

async function clear(id: string, choice: { readonly reason: string }, command: Command): Promise<void> {
  const options = globals(command)
  const path = `/identities/suspended/${encodeURIComponent(id)}/clear`
  const body = { reason: choice.reason }
  const cleared = await (await connect(options)).call<RestrictionView>(path, { method: 'POST', body })
  if (options.json === true) printJson(cleared)
  else hint(`${named(cleared)} may act again`)
}

/** Who is held back, and who lets them go. */
export function addRestrictionCommands(identities: Command): void {
  identities
    .command('suspended')
    .description('Who is suspended, slowed down or asked about')
    .option('--all', 'also what is over')
    .action(suspended)
  identities
    .command('suspend <who>')
    .description(
      'Let an identity do nothing until another person clears it: issuer#id, or its id, e-mail or name',
    )
    .option('--on-behalf-of <issuer#id>', 'only while it acts for this person')
    .requiredOption('--reason <text>', 'why')
    .action(suspend)
  identities
    .command('clear <restriction>')
    .description('Let it act again; never yourself, nor an agent that acts for you')
    .requiredOption('--reason <text>', 'why')
    .action(clear)
}

export function identitiesCommand(program: Command): void {
  addRestrictionCommands(program.command('identities').description('Who acts here, and who is held back'))
}
