import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../errors.ts'
import { newTrace } from '../../model/trace.ts'
import type { ClientProfile } from './envelope.ts'
import type { Link, LinkCall } from './link.ts'
import type { RpcResponse } from './rpc.ts'
import { type Contact, Server } from './server.ts'
import { mcpSettings } from './settings.ts'

const client: ClientProfile = { era: 'modern', version: '2026-07-28', capabilities: {}, info: undefined }

const subject = {
  issuer: 'i',
  id: 'ana',
  kind: 'user' as const,
  groups: [],
  method: 'oidc',
  claims: {},
}

function contact(person: string, token: string, signal = new AbortController().signal): Contact {
  return {
    key: person,
    principal: person,
    client,
    secrets: { token },
    signal,
    errand: { subject, action: 'a_1', operation: 'tools/list', trace: newTrace() },
    starting: () => undefined,
    onNotification: () => undefined,
    onRequest: () => Promise.reject(new Error('nobody to ask')),
  }
}

/** A server of 2026 that offers each token a tool of its name, each answer when it is told to. */
function stage() {
  const asked: { readonly call: LinkCall; readonly answer: () => void }[] = []
  const link: Link = {
    era: 'modern',
    facts: { capabilities: { tools: {} }, info: undefined, instructions: undefined, version: '2026-07-28' },
    ended: false,
    call: call =>
      new Promise<RpcResponse>((resolve, reject) => {
        call.signal.addEventListener('abort', () => reject(new GatewayError('client-gone')))
        const tools = [{ name: `of-${call.secrets['token']}`, inputSchema: { type: 'object' } }]
        asked.push({ call, answer: () => resolve({ kind: 'response', id: 1, result: { tools } }) })
      }),
    notify: () => Promise.resolve(),
    listen: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  const { servers } = mcpSettings.parse({ servers: [{ name: 'main', url: 'http://127.0.0.1:1/' }] })
  const server = new Server(servers[0]!, {
    open: () => Promise.resolve(link),
    prefix: '',
    mostItems: 100,
    mostLinks: 100,
    idleMs: 60_000,
    separate: false,
  })
  const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  const listed = (person: string) => [...(server.listed(person, 'tools', Infinity)?.keys() ?? [])]
  return { server, asked, settle, listed }
}

test('P4: what one person is offered with their own credential is shown to nobody with another', async () => {
  const { server, asked, settle, listed } = stage()
  const lists = [server.list('tools', contact('ana', 'a')), server.list('tools', contact('bo', 'b'))]
  await settle()
  assert.equal(asked.length, 2, 'neither waits for the list of the other')
  for (const { answer } of asked) answer()
  const names = (await Promise.all(lists)).map(items => [...items.keys()])
  assert.deepEqual(names, [['of-a'], ['of-b']])
  assert.deepEqual([listed('ana'), listed('bo'), listed('cy')], [['of-a'], ['of-b'], []])
})

test('who is lent the same reads a list once, and a change is read anew', async () => {
  const { server, asked, settle, listed } = stage()
  const lists = ['ana', 'bo'].map(person => server.list('tools', contact(person, 'a')))
  await settle()
  assert.equal(asked.length, 1)
  asked[0]!.answer()
  await Promise.all(lists)
  assert.deepEqual(listed('bo'), ['of-a'])
  server.changed('ana', 'tools')
  assert.deepEqual(listed('bo'), [])
})

test('P6: who reads a list for several and leaves takes it from nobody else', async () => {
  const { server, asked, settle } = stage()
  const gone = new AbortController()
  const first = server.list('tools', contact('ana', 'a', gone.signal))
  const second = server.list('tools', contact('bo', 'a'))
  await settle()
  gone.abort()
  await assert.rejects(first, { code: 'client-gone' })
  await settle()
  asked.at(-1)!.answer()
  assert.deepEqual([...(await second).keys()], ['of-a'])
})
