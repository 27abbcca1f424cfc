import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { startPracticeMcp } from './practice-mcp.ts'

const info = { name: 'test', version: '1.0.0' }

test('a client of each era calls a tool', async () => {
  await using practice = await startPracticeMcp()
  const modern = new Client(info, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
  await modern.connect(new StreamableHTTPClientTransport(new URL(practice.url)))
  const greeted = await modern.callTool({ name: 'greet', arguments: { name: 'Ana' } })
  assert.deepEqual(greeted.content, [{ type: 'text', text: 'Hello, Ana!' }])
  await modern.close()

  const legacy = new LegacyClient(info)
  await legacy.connect(new LegacyTransport(new URL(practice.url)) as never)
  const { tools } = await legacy.listTools()
  assert.ok(tools.some(tool => tool.name === 'test_simple_text'))
  const again = await legacy.callTool({ name: 'greet', arguments: { name: 'Bo' } })
  assert.deepEqual(again.content, [{ type: 'text', text: 'Hello, Bo!' }])
  await legacy.close()
})

test('another host name in the address is refused', async () => {
  await using practice = await startPracticeMcp()
  const answer = await fetch(practice.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: 'https://evil.example.com' },
    body: '{}',
  })
  assert.equal(answer.status, 403)
})
