import type { Command } from 'commander'
import { connect } from '../client.ts'
import { globals } from '../globals.ts'
import { hint, paint, print, printJson } from '../output.ts'

interface User {
  readonly email: string
  readonly roles: readonly string[]
  readonly groups: readonly string[]
  readonly active?: boolean
}

interface InviteOptions {
  readonly role: readonly string[]
  readonly group: readonly string[]
  readonly name?: string
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value]

async function invite(email: string, options: InviteOptions, command: Command): Promise<void> {
  const { role, group, name } = options
  const client = await connect(globals(command))
  const body = {
    email,
    groups: group,
    roles: role.length === 0 ? ['user'] : role,
    ...(name === undefined ? {} : { name }),
  }
  const invited = await client.call<User & { link: string; expires: string }>('/users', {
    method: 'POST',
    body,
  })
  if (globals(command).json === true) return printJson(invited)
  print(invited.link)
  hint(`for ${paint('bold', invited.email)} alone; works once, until ${invited.expires}`)
}

async function list(_: unknown, command: Command): Promise<void> {
  const { users } = await (await connect(globals(command))).call<{ users: User[] }>('/users')
  if (globals(command).json === true) return users.forEach(user => printJson(user))
  for (const { email, roles, active } of users)
    print(`${paint('bold', email)}  ${roles.join(', ')}${active === true ? '' : '  (invited)'}`)
}

async function remove(email: string, _: unknown, command: Command): Promise<void> {
  await (await connect(globals(command))).call(`/users/${encodeURIComponent(email)}`, { method: 'DELETE' })
  hint(`removed ${email}`)
}

export function usersCommand(program: Command): void {
  const users = program.command('users').description('People with a password of the gateway’s own')
  users
    .command('invite <email>')
    .description('Make a link that works once, with which the person chooses a password')
    .option('--role <role>', 'admin, approver, auditor or user; repeat for several', collect, [])
    .option(
      '--group <name>',
      'a group, as the roles of the configuration name it; repeat for several',
      collect,
      [],
    )
    .option('--name <name>', 'display name')
    .action(invite)
  users.command('list').description('Who there is').action(list)
  users.command('remove <email>').description('Remove a person; their sessions end at once').action(remove)
}
