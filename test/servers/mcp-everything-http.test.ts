/** The reference server over Streamable HTTP, behind a real gateway and used by clients of both eras. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { root } from '../sources.ts'
import { legacyClient, mcpStage, modernClient } from '../support/mcp-stage.ts'

const everything = join(root, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js')

/** It would listen at a fixed port of every interface, and one of its tools gives its environment away. */
const atLoopback = `
  import { Server } from 'node:net'
  const { listen } = Server.prototype
  Server.prototype.listen = function (_port, then) {
    return listen.call(this, 0, '127.0.0.1', () => {
      console.error('at http://127.0.0.1:' + this.address().port + '/mcp')
      then()
    })
  }`

/** Starts it, and gives its address. */
async function startEverything(): Promise<AsyncDisposable & { readonly url: string }> {
  const preload = `data:text/javascript,${encodeURIComponent(atLoopback)}`
  const child = spawn(process.execPath, ['--import', preload, everything, 'streamableHttp'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {},
  })
  const exit = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill()
    await exit
  }
  try {
    return { url: await addressOf(child), [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function addressOf({ stderr }: ChildProcess): Promise<string> {
  const said: string[] = []
  for await (const line of createInterface({ input: stderr! })) {
    said.push(line)
    const found = /^at (\S+)$/.exec(line)?.[1]
    if (found === undefined) continue
    stderr!.resume()
    return found
  }
  throw new Error(`server-everything did not start: ${said.join('\n')}`)
}

test('server-everything works over Streamable HTTP for clients of both eras', async t => {
  await using server = await startEverything()
  await using stage = await mcpStage({ servers: [{ name: 'main', url: server.url }] })
  for (const [era, make] of [
    ['modern', modernClient],
    ['legacy', legacyClient],
  ] as const) {
    await t.test(`a client of the ${era} era`, async () => {
      const client = await make(stage)
      const names = (await client.listTools()).tools.map(({ name }) => name)
      for (const name of ['echo', 'get-sum', 'trigger-long-running-operation'])
        assert.ok(names.includes(name), name)

      const echoed = await client.callTool({ name: 'echo', arguments: { message: 'hi' } })
      assert.deepEqual(echoed.content, [{ type: 'text', text: 'Echo: hi' }])
      const sum = await client.callTool({ name: 'get-sum', arguments: { a: 19, b: 23 } })
      assert.deepEqual(sum.content, [{ type: 'text', text: 'The sum of 19 and 23 is 42.' }])
      const weather = { name: 'get-structured-content', arguments: { location: 'Chicago' } }
      assert.deepEqual((await client.callTool(weather)).structuredContent, {
        temperature: 36,
        conditions: 'Light rain / drizzle',
        humidity: 82,
      })

      const { resources } = await client.listResources()
      const { contents } = await client.readResource({ uri: resources[0]!.uri })
      assert.equal(contents[0]?.uri, resources[0]!.uri)
      const prompt = await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Chicago' } })
      assert.deepEqual(prompt.messages[0]?.content, { type: 'text', text: "What's weather in Chicago?" })

      const steps: number[] = []
      const onprogress = ({ progress }: { progress: number }): void => void steps.push(progress)
      const long = { name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } }
      const done =
        'listen' in client
          ? await client.callTool(long, { onprogress })
          : await client.callTool(long, undefined, { onprogress })
      assert.match(JSON.stringify(done.content), /completed/)
      assert.deepEqual(steps, [1, 2, 3])
      await client.close()
    })
  }
  const calls = (await stage.gateway.entries()).filter(({ operation }) => operation === 'tools/call:get-sum')
  assert.equal(new Set(calls.map(({ action }) => action)).size, 2, 'a call of each client is in the log')
})
