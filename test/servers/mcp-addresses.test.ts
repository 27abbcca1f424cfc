/** Addresses of resources in another case of scheme and host, through a real gateway: the same resource to every rule. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ResourceTemplate } from '@modelcontextprotocol/server'
import { type PracticeMcp, startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { legacyClient, type McpStage, mcpStage, modernClient } from '../support/mcp-stage.ts'

const opened = new AsyncDisposableStack()
const mail = 'dora.smith@example.com'
let practice: PracticeMcp
let stage: McpStage
const asked: string[] = []

/** A server that takes addresses that differ in case alone for the same, as it may. */
before(async () => {
  practice = await startPracticeMcp({
    extend(server) {
      for (const scheme of ['memo', 'https']) {
        const all = new ResourceTemplate(`${scheme}://{+rest}`, { list: undefined })
        server.registerResource(scheme, all, {}, uri => {
          asked.push(uri.href)
          return { contents: [{ uri: uri.href, text: `for ${mail}` }] }
        })
      }
      server.server.setRequestHandler('completion/complete', () => ({ completion: { values: ['one'] } }))
    },
  })
  opened.defer(() => practice.close())
  stage = opened.use(
    await mcpStage(
      { servers: [{ name: 'main', url: practice.url }] },
      {
        rules: [
          { name: 'memos', effect: 'allow', operations: ['resources/read:memo://*', 'completion/complete'] },
          { name: 'web', effect: 'allow', operations: ['resources/read:https://*'] },
          {
            name: 'private-is-masked',
            effect: 'allow',
            operations: ['resources/read:memo://Private/*', 'resources/read:https://private.example.com/*'],
            mask: ['personal'],
          },
          {
            name: 'no-secrets',
            effect: 'deny',
            operations: ['resources/read:*'],
            when: "request.uri.startsWith('memo://secret/')",
          },
          { name: 'no-vault', effect: 'deny', operations: ['resources/read:memo://Vault/*'] },
          { name: 'not-in-capitals', effect: 'deny', operations: ['resources/read:memo://small/Capital'] },
        ],
      },
    ),
  )
})
after(() => opened.disposeAsync())

const clients = { 'a client of 2025': legacyClient, 'a client of 2026': modernClient }

for (const [who, connect] of Object.entries(clients)) {
  test(`attack: ${who} gets round no rule by writing a host in another case`, async () => {
    const client = await connect(stage)
    for (const uri of [
      'memo://secret/a',
      'memo://SECRET/a',
      'memo://Vault/a',
      'memo://vAULT/a',
      'memo://vault/a',
    ])
      await assert.rejects(client.readResource({ uri }), /no-secrets|no-vault/, uri)
    for (const host of ['Private', 'private', 'PRIVATE', 'private.example.com', 'PRIVATE.Example.com']) {
      const uri = `${host.includes('.') ? 'https' : 'memo'}://${host}/a`
      const { contents } = await client.readResource({ uri })
      const text = JSON.stringify(contents)
      assert.ok(text.includes('for [') && !text.includes(mail), uri)
    }
    const { contents } = await client.readResource({ uri: 'memo://Public/a' })
    assert.match(JSON.stringify(contents), new RegExp(mail))
    await client.close()
  })

  test(`attack: ${who} gets round no rule by what else names the same host`, async () => {
    const client = await connect(stage)
    const before = asked.length
    for (const uri of [
      'https://private.example.com:443/a',
      'https://user@private.example.com/a',
      'https://private.example.com./a',
      'https://ｐrivate.example.com/a',
      'https:/private.example.com/a',
    ])
      await assert.rejects(client.readResource({ uri }), /plain form/, uri)
    assert.equal(asked.length, before)
    await client.close()
  })
}

test('P11: a server gets an address as it was written, and the log has the spelling that was judged', async () => {
  const client = await legacyClient(stage)
  await client.readResource({ uri: 'memo://Team/Notes' })
  assert.equal(asked.at(-1), 'memo://Team/Notes')
  await client.close()
  const [entry] = (await stage.gateway.entries()).filter(
    each => each.kind === 'action.completed' && String(each.operation).endsWith('/Notes'),
  )
  assert.equal(entry?.operation, 'resources/read:memo://team/Notes')
})

test('what comes after the host is compared as it is written where a rule allows, and in any case where one denies', async () => {
  const client = await legacyClient(stage)
  await assert.rejects(client.readResource({ uri: 'memo://small/capital' }), /not-in-capitals/)
  await client.close()
})

test('a template whose host is an argument can be completed', async () => {
  const client = await legacyClient(stage)
  const done = await client.complete({
    ref: { type: 'ref/resource', uri: 'https://{+rest}' },
    argument: { name: 'rest', value: 'o' },
  })
  assert.deepEqual(done.completion.values, ['one'])
  await client.close()
})
