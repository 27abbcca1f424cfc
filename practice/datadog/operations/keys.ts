import {
  attributesOf,
  type Call,
  found,
  nothing,
  notFound,
  objectOf,
  ok,
  type Operations,
  page,
  textOf,
} from '../operation.ts'
import type { PracticeKey } from '../state.ts'
import type { Json } from '../wire.ts'

type Kind = 'api' | 'application'

const keysOf = ({ state }: Call, kind: Kind) => (kind === 'api' ? state.apiKeys : state.applicationKeys)

/** v1 names a key by the key itself, or its hash. */
function bySecret(call: Call, kind: Kind): PracticeKey {
  for (const key of keysOf(call, kind).values()) if (key.secret === call.params['key']) return key
  throw notFound('Key')
}

function v1Shape(call: Call, kind: Kind, key: PracticeKey): Json {
  const owner = call.state.users.get(key.owner)?.email ?? 'unknown@example.com'
  if (kind === 'application') return { name: key.name, owner, hash: key.secret }
  const created = key.createdAt.slice(0, 19).replace('T', ' ')
  return { key: key.secret, name: key.name, created, created_by: owner }
}

function v2Shape(kind: Kind, key: PracticeKey, whole: boolean): Json {
  const user = { data: { type: 'users', id: key.owner } }
  return {
    type: `${kind}_keys`,
    id: key.id,
    attributes: {
      name: key.name,
      created_at: key.createdAt,
      last4: key.secret.slice(-4),
      ...(whole ? { key: key.secret } : {}),
      ...(kind === 'api' ? { modified_at: key.modifiedAt } : { scopes: key.scopes ?? null }),
    },
    relationships: kind === 'api' ? { created_by: user, modified_by: user } : { owned_by: user },
  }
}

function v1Operations(kind: Kind, name: string): Operations {
  const field = `${kind}_key`
  const one = (call: Call, key: PracticeKey) => ok({ [field]: v1Shape(call, kind, key) })
  return {
    [`v1.list${name}Keys`]: call =>
      ok({ [`${field}s`]: [...keysOf(call, kind).values()].map(key => v1Shape(call, kind, key)) }),
    [`v1.create${name}Key`]: call => one(call, call.state.addKey(kind, textOf(objectOf(call.body), 'name'))),
    [`v1.get${name}Key`]: call => one(call, bySecret(call, kind)),
    [`v1.update${name}Key`]: call => {
      const key = bySecret(call, kind)
      key.name = textOf(objectOf(call.body), 'name')
      key.modifiedAt = call.state.timestamp()
      return one(call, key)
    },
    [`v1.delete${name}Key`]: call => {
      const key = bySecret(call, kind)
      keysOf(call, kind).delete(key.id)
      return one(call, key)
    },
  }
}

function v2Operations(kind: Kind, name: string, param: string): Operations {
  const keyOf = (call: Call) => found(keysOf(call, kind), call.params[param]!, 'Key')
  return {
    [`v2.list${name}Keys`]: call => {
      const own = name.startsWith('CurrentUser')
      const all = [...keysOf(call, kind).values()].filter(key => !own || key.owner === call.state.currentUser)
      return ok({
        data: page(all, call.query).map(key => v2Shape(kind, key, false)),
        meta: { page: { total_filtered_count: all.length } },
      })
    },
    [`v2.create${name}Key`]: call => {
      const sent = attributesOf(call.body)
      const scopes = Array.isArray(sent['scopes']) ? sent['scopes'].map(String) : undefined
      return ok({ data: v2Shape(kind, call.state.addKey(kind, textOf(sent, 'name'), scopes), true) }, 201)
    },
    [`v2.get${name}Key`]: call => ok({ data: v2Shape(kind, keyOf(call), true) }),
    [`v2.update${name}Key`]: call => {
      const key = keyOf(call)
      key.name = textOf(attributesOf(call.body), 'name')
      key.modifiedAt = call.state.timestamp()
      return ok({ data: v2Shape(kind, key, true) })
    },
    [`v2.delete${name}Key`]: call => {
      keysOf(call, kind).delete(keyOf(call).id)
      return nothing
    },
  }
}

export const keys: Operations = {
  ...v1Operations('api', 'API'),
  ...v1Operations('application', 'Application'),
  ...v2Operations('api', 'API', 'api_key_id'),
  ...v2Operations('application', 'Application', 'app_key_id'),
  ...v2Operations('application', 'CurrentUserApplication', 'app_key_id'),
  'v1.validate': () => ok({ valid: true }),
  'v2.validateAPIKey': () => ok({ status: 'ok' }),
}
