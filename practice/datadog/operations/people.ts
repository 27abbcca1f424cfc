import { createHash } from 'node:crypto'
import {
  attributesOf,
  type Call,
  found,
  idOf,
  nothing,
  objectOf,
  ok,
  type Operations,
  page,
  Refusal,
  textOf,
} from '../operation.ts'
import type { PracticeRole, PracticeUser } from '../state.ts'
import type { Json } from '../wire.ts'

function userOf({ state, params }: Call): PracticeUser {
  return found(state.users, params['user_id']!, 'User')
}

function byHandle({ state, params }: Call): PracticeUser {
  const user = [...state.users.values()].find(each => each.email === params['user_handle'])
  if (user === undefined) throw new Refusal(404, 'User not found')
  return user
}

function userShape(user: PracticeUser): Json {
  return {
    type: 'users',
    id: user.id,
    attributes: {
      name: user.name,
      handle: user.email,
      email: user.email,
      title: user.title,
      created_at: user.createdAt,
      modified_at: user.modifiedAt,
      icon: `https://secure.gravatar.com/avatar/${createHash('sha256').update(user.email).digest('hex')}?s=48&d=retro`,
      disabled: user.disabled,
      service_account: user.service,
      status: user.disabled ? 'Disabled' : 'Active',
      verified: true,
      mfa_enabled: !user.service,
    },
    relationships: { roles: { data: [...user.roles].map(id => ({ type: 'roles', id })) } },
  }
}

function v1Shape({ state }: Call, user: PracticeUser): Json {
  const admin = [...user.roles].some(id => state.roles.get(id)?.name.includes('Admin'))
  return {
    handle: user.email,
    email: user.email,
    name: user.name,
    disabled: user.disabled,
    verified: true,
    access_role: admin ? 'adm' : 'st',
    icon: `https://secure.gravatar.com/avatar/${createHash('sha256').update(user.email).digest('hex')}`,
  }
}

function roleOf({ state, params }: Call): PracticeRole {
  return found(state.roles, params['role_id']!, 'Role')
}

function roleShape({ state }: Call, role: PracticeRole): Json {
  return {
    type: 'roles',
    id: role.id,
    attributes: {
      name: role.name,
      created_at: role.createdAt,
      modified_at: role.modifiedAt,
      user_count: [...state.users.values()].filter(user => user.roles.has(role.id)).length,
    },
    relationships: { permissions: { data: [...role.permissions].map(id => ({ type: 'permissions', id })) } },
  }
}

function permissionShapes({ state }: Call, ids: Iterable<string>): Json[] {
  return [...ids].flatMap(id => {
    const permission = state.permissions.get(id)
    if (permission === undefined) return []
    const { name, description, group } = permission
    const words = name.replaceAll('_', ' ')
    return [
      {
        type: 'permissions',
        id,
        attributes: {
          name,
          description,
          group_name: group,
          display_name: words,
          display_type: name.endsWith('_read') ? 'read' : 'write',
          restricted: false,
          created: '2024-01-15T09:00:00+00:00',
        },
      },
    ]
  })
}

function userPage(users: readonly PracticeUser[], query: URLSearchParams, total: number) {
  return ok({
    data: page(users, query).map(userShape),
    meta: { page: { total_count: total, total_filtered_count: users.length } },
  })
}

function create(call: Call, of: { email: string; name: string; title?: string }): PracticeUser {
  if ([...call.state.users.values()].some(user => user.email === of.email))
    throw new Refusal(409, `User ${of.email} already exists`)
  return call.state.addUser(of.email, of)
}

export const people: Operations = {
  'v2.listUsers': ({ state, query }) => {
    const filter = (query.get('filter') ?? '').toLowerCase()
    const users = [...state.users.values()]
    return userPage(
      users.filter(each => `${each.name} ${each.email}`.toLowerCase().includes(filter)),
      query,
      users.length,
    )
  },
  'v2.getCurrentUser': ({ state }) => ok({ data: userShape(found(state.users, state.currentUser, 'User')) }),
  'v2.getUser': call => ok({ data: userShape(userOf(call)) }),
  'v2.createUser': call => {
    const sent = attributesOf(call.body)
    const email = textOf(sent, 'email')
    const name = typeof sent['name'] === 'string' ? sent['name'] : email
    const title = typeof sent['title'] === 'string' ? { title: sent['title'] } : {}
    return ok({ data: userShape(create(call, { email, name, ...title })) }, 201)
  },
  'v2.updateUser': call => {
    const user = userOf(call)
    const sent = attributesOf(call.body)
    if (typeof sent['name'] === 'string') user.name = sent['name']
    if (typeof sent['disabled'] === 'boolean') user.disabled = sent['disabled']
    user.modifiedAt = call.state.timestamp()
    return ok({ data: userShape(user) })
  },
  'v2.disableUser': call => {
    userOf(call).disabled = true
    return nothing
  },
  'v2.listUserPermissions': call =>
    ok({
      data: permissionShapes(
        call,
        new Set([...userOf(call).roles].flatMap(id => [...(call.state.roles.get(id)?.permissions ?? [])])),
      ),
    }),
  'v1.listUsers': call => ok({ users: [...call.state.users.values()].map(user => v1Shape(call, user)) }),
  'v1.getUser': call => ok({ user: v1Shape(call, byHandle(call)) }),
  'v1.createUser': call => {
    const sent = objectOf(call.body)
    const email = textOf(sent, 'handle')
    return ok({ user: v1Shape(call, create(call, { email, name: String(sent['name'] ?? email) })) })
  },
  'v1.updateUser': call => {
    const user = byHandle(call)
    const sent = objectOf(call.body)
    if (typeof sent['name'] === 'string') user.name = sent['name']
    if (typeof sent['disabled'] === 'boolean') user.disabled = sent['disabled']
    return ok({ user: v1Shape(call, user) })
  },
  'v1.disableUser': call => {
    byHandle(call).disabled = true
    return ok({ message: `User ${call.params['user_handle']} disabled` })
  },
  'v2.listRoles': call => {
    const all = [...call.state.roles.values()]
    return ok({
      data: page(all, call.query).map(role => roleShape(call, role)),
      meta: { page: { total_count: all.length, total_filtered_count: all.length } },
    })
  },
  'v2.createRole': call =>
    ok({ data: roleShape(call, call.state.addRole(textOf(attributesOf(call.body), 'name'), [])) }),
  'v2.getRole': call => ok({ data: roleShape(call, roleOf(call)) }),
  'v2.updateRole': call => {
    const role = roleOf(call)
    role.name = textOf(attributesOf(call.body), 'name')
    role.modifiedAt = call.state.timestamp()
    return ok({ data: roleShape(call, role) })
  },
  'v2.deleteRole': call => {
    const { id } = roleOf(call)
    call.state.roles.delete(id)
    for (const user of call.state.users.values()) user.roles.delete(id)
    return nothing
  },
  'v2.listPermissions': call => ok({ data: permissionShapes(call, call.state.permissions.keys()) }),
  'v2.listRolePermissions': call => ok({ data: permissionShapes(call, roleOf(call).permissions) }),
  'v2.addPermissionToRole': call => {
    const id = idOf(call.body)
    found(call.state.permissions, id, 'Permission')
    return ok({ data: permissionShapes(call, roleOf(call).permissions.add(id)) })
  },
  'v2.removePermissionFromRole': call => {
    roleOf(call).permissions.delete(idOf(call.body))
    return ok({ data: permissionShapes(call, roleOf(call).permissions) })
  },
  'v2.listRoleUsers': call => roleUsers(call),
  'v2.addUserToRole': call => {
    found(call.state.users, idOf(call.body), 'User').roles.add(roleOf(call).id)
    return roleUsers(call)
  },
  'v2.removeUserFromRole': call => {
    found(call.state.users, idOf(call.body), 'User').roles.delete(roleOf(call).id)
    return roleUsers(call)
  },
}

function roleUsers(call: Call) {
  const { id } = roleOf(call)
  const users = [...call.state.users.values()].filter(user => user.roles.has(id))
  return userPage(users, call.query, users.length)
}
