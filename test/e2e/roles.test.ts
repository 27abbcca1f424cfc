/** Every route of the API, asked by every role: who gets through is who `docs/reference/permissions.md` says. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { apiBase } from '../../src/api/handler.ts'
import { allRoutes } from '../../src/api/routes.ts'
import type { Role } from '../../src/api/route.ts'
import { terminalToken } from '../../src/identity/sign-in/terminal-sessions.ts'
import { root } from '../sources.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld } from '../support/world.ts'

const callers = ['nobody', 'user', 'auditor', 'approver', 'admin'] as const
type Asking = (typeof callers)[number]

const opened = new AsyncDisposableStack()
const tokens = new Map<Asking, string>()
let gateway: TestGateway

before(async () => {
  const world = opened.use(await createWorld({ config: { sign_in: { local: true } } }))
  gateway = opened.use(await openGateway(world))
  const { signIn } = gateway.running.services
  for (const role of callers.slice(1) as Role[]) {
    const email = `${role}@example.com`
    const { secret } = await signIn.users.invite({ email, roles: [role] }, 60_000)
    const subject = (await signIn.users.accept(secret, 'correct horse battery'))!
    const { cookie } = await signIn.sessions.create(subject, 'local', 'terminal')
    tokens.set(role, terminalToken(cookie))
  }
})

after(() => opened.disposeAsync())

/** `GET /audit/entries` -> who may, from the table. */
async function documented(): Promise<Map<string, Set<Asking>>> {
  const text = await readFile(join(root, 'docs/reference/permissions.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `([A-Z]+ [^`]+)` \|(.*)\|$/gm)]
  return new Map(
    rows.map(([, name, cells]) => {
      const marks = cells!.split('|').map(each => each.trim())
      return [name!, new Set(callers.filter((_, i) => marks[i] === 'yes'))]
    }),
  )
}

interface Answer {
  readonly status: number
  readonly detail: string
}

/** Asks with parameters of nothing that is there; what is a stream is let go of once it begins. */
async function ask(method: string, path: string, who: Asking): Promise<Answer> {
  const token = tokens.get(who)
  const enough = new AbortController()
  const response = await fetch(`${gateway.url}${apiBase}${path.replaceAll(/\{\w+\}/g, '9007199254')}`, {
    method,
    signal: enough.signal,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(method === 'GET' ? {} : { 'content-type': 'application/json' }),
    },
    ...(method === 'POST' || method === 'PUT' ? { body: '{}' } : {}),
  })
  const isProblem = response.headers.get('content-type') === 'application/problem+json'
  const detail = isProblem ? ((await response.json()) as { detail?: string }).detail : undefined
  enough.abort()
  return { status: response.status, detail: detail ?? '' }
}

test('the table has every route, and no other', async () => {
  const names = allRoutes.map(({ method, path }) => `${method} ${path}`)
  assert.deepEqual([...(await documented()).keys()].sort(), names.sort())
})

test('each role gets through where the table says so, and nowhere else', async () => {
  const table = await documented()
  for (const { method, path, permission } of allRoutes) {
    const may = table.get(`${method} ${path}`)!
    for (const who of callers) {
      const { status, detail } = await ask(method, path, who)
      const told = `${who}: ${method} ${path}: ${status} ${detail}`
      if (who === 'nobody' && !may.has(who)) assert.equal(status, 401, told)
      else if (!may.has(who) && !may.has('user')) {
        assert.equal(status, 403, told)
        assert.equal(detail, `this needs the role ${permission}`, told)
      } else {
        assert.notEqual(detail, `this needs the role ${permission}`, told)
        // The Slack callback proves itself by a signature instead.
        if (permission !== 'public') assert.notEqual(status, 401, told)
      }
    }
  }
})

test('what is open to users and asks for more says what it asks for', async () => {
  const more = new Map<string, readonly Asking[]>([
    ['GET /identities/suspended', ['auditor', 'approver', 'admin']],
    ['POST /identities/suspend', ['approver', 'admin']],
    ['POST /identities/suspended/{id}/clear', ['approver', 'admin']],
  ])
  const body = JSON.stringify({ identity: 'nobody-of-that-name', reason: 'a test' })
  for (const [name, may] of more) {
    const [method, path] = name.split(' ') as [string, string]
    for (const who of callers.slice(1)) {
      const response = await fetch(`${gateway.url}${apiBase}${path.replace('{id}', 'rs_none')}`, {
        method,
        headers: { authorization: `Bearer ${tokens.get(who)}`, 'content-type': 'application/json' },
        ...(method === 'GET' ? {} : { body: path.endsWith('clear') ? '{"reason":"a test"}' : body }),
      })
      assert.equal(response.status === 403, !may.includes(who), `${who}: ${name}: ${response.status}`)
      await response.arrayBuffer()
    }
  }
})

test('nothing of the log, of recordings or of others reaches who is only a user', async () => {
  for (const path of [
    '/audit/entries',
    '/sessions',
    '/identities',
    '/log',
    '/policy',
    '/export',
    '/users',
    '/tokens',
  ])
    assert.equal((await ask('GET', path, 'user')).status, 403, path)
  const token = tokens.get('user')!
  for (const [path, member] of [
    ['/approvals?all=true', 'approvals'],
    ['/grants', 'grants'],
    ['/break-glass', 'break_glass'],
    ['/budgets', 'budgets'],
  ] as const) {
    const headers = { authorization: `Bearer ${token}` }
    const answer = (await (await fetch(`${gateway.url}${apiBase}${path}`, { headers })).json()) as object
    assert.deepEqual((answer as Record<string, unknown>)[member], [], path)
  }
})
