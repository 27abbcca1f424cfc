import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parse } from 'yaml'
import { commonKeys } from '../../config/connections.ts'
import { httpFlavour, httpSettings } from './index.ts'

test('what the guide shows is valid configuration', async () => {
  const guide = await readFile(new URL('../../../docs/guides/http.md', import.meta.url), 'utf8')
  const blocks = [...guide.matchAll(/```yaml\n([^]*?)```/g)].map(
    match => parse(match[1]!) as Record<string, unknown>,
  )
  const shown = blocks.map(
    block => (block['connections'] as Record<string, unknown>[] | undefined)?.[0] ?? block,
  )
  assert.equal(shown.length, 3)
  for (const connection of shown) {
    const own = Object.fromEntries(Object.entries(connection).filter(([key]) => !commonKeys.has(key)))
    httpSettings.parse({ url: 'https://api.example.com', ...own })
  }
})

test('operations: by template where there are routes, a literal before a parameter, unknown beyond them', () => {
  const url = 'https://api.example.com/base'
  const flavour = httpFlavour(
    httpSettings.parse({
      url,
      routes: [
        { match: 'GET /users/{id}' },
        { match: 'GET /users/me', risk: 'admin' },
        { match: 'POST /users/{id}/search', operation: 'findUser', risk: 'read' },
        { match: 'GET /users/me/{part}' },
      ],
    }),
  )
  const of = (method: string, path: string) => flavour.operationOf({ method, path })
  assert.equal(of('GET', '/users/7').operation, 'GET /users/{id}')
  assert.deepEqual({ ...of('GET', '/users/a%2Fb').params }, { id: 'a/b' })
  assert.equal(of('GET', '/users/me').risk, 'admin')
  assert.equal(of('GET', '/users/me/x').template, '/users/me/{part}')
  assert.deepEqual(
    [of('POST', '/users/me/search').operation, of('POST', '/users/me/search').risk],
    ['findUser', 'read'],
  )
  assert.deepEqual([of('GET', '/users').known, of('GET', '/users').operation], [false, 'GET /users'])
  assert.equal(of('DELETE', '/users/7').known, false)
  const open = httpFlavour(httpSettings.parse({ url }))
  assert.deepEqual(open.operationOf({ method: 'DELETE', path: '/x' }).risk, 'delete')
  assert.equal(open.operationOf({ method: 'GET', path: '/x' }).known, true)
  const twice = { url, routes: [{ match: 'GET /a/{b}' }, { match: 'GET /a/{c}' }] }
  assert.throws(() => httpFlavour(httpSettings.parse(twice)), TypeError)
})
