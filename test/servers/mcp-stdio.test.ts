/** Servers over standard input and output: started, kept within their limits, and ended by a real gateway. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Entry } from '../../src/audit/events.ts'
import { root } from '../sources.ts'
import { openGateway } from '../support/gateway.ts'
import { legacyClient, type McpStage, mcpStage, modernClient } from '../support/mcp-stage.ts'
import { until } from '../support/until.ts'

const unruly = join(root, 'test/support/unruly-mcp.ts')
const fixture = join(root, 'practice/mcp/main.ts')
const everything = join(root, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js')
const secret = 'upstream-key-4711-zebra'

async function unrulyStage(
  more: Readonly<Record<string, unknown>> = {},
  server: Readonly<Record<string, unknown>> = {},
): Promise<McpStage> {
  const args = [unruly, ...('diary' in more ? [String(more['diary'])] : [])]
  const { diary: _, ...settings } = more
  return await mcpStage({
    servers: [{ name: 'main', command: process.execPath, args, env: { UNRULY_KEY: '${key}' }, ...server }],
    credential: { key: `\${env:SALLYPORT_TEST_UNRULY}` },
    ...settings,
  })
}

process.env['SALLYPORT_TEST_UNRULY'] = secret

function textOf(result: object): string {
  return (result as { content: { text: string }[] }).content[0]!.text
}

function processOf(entry: Entry): { readonly pid: number; readonly for_action: string } {
  return entry['process'] as { pid: number; for_action: string }
}

function pidsOf(entries: readonly Entry[]): number[] {
  return entries.map(entry => processOf(entry).pid)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('clients of both eras use a server of 2026 over standard input and output', async () => {
  await using stage = await mcpStage({
    servers: [{ name: 'main', command: process.execPath, args: [fixture, '--stdio'] }],
  })
  const call = { name: 'greet', arguments: { name: 'Ana' } }
  const modern = await modernClient(stage)
  assert.equal(textOf(await modern.callTool(call)), 'Hello, Ana!')
  await modern.close()
  const legacy = await legacyClient(stage)
  assert.equal(textOf(await legacy.callTool(call)), 'Hello, Ana!')
  const steps: number[] = []
  const slow = { name: 'test_tool_with_progress', arguments: {} }
  await legacy.callTool(slow, undefined, { onprogress: ({ progress }) => void steps.push(progress) })
  assert.ok(steps.length > 0, 'progress reaches the client')
  await legacy.close()
})

test('server-everything works over standard input and output for clients of both eras', async () => {
  await using stage = await mcpStage({
    servers: [{ name: 'main', command: process.execPath, args: [everything, 'stdio'] }],
  })
  for (const make of [modernClient, legacyClient]) {
    const client = await make(stage)
    const { tools } = await client.listTools()
    assert.ok(tools.some(({ name }) => name === 'echo'))
    assert.match(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hi' } })), /hi/)
    assert.ok((await client.listPrompts()).prompts.length > 0)
    const { resources } = await client.listResources()
    assert.ok((await client.readResource({ uri: resources[0]!.uri })).contents.length > 0)
    await client.close()
  }
})

test('P4: a process sees its own secrets and nothing of the gateway’s environment, and its client sees neither', async () => {
  process.env['SALLYPORT_TEST_OTHER'] = 'of-the-gateway-alone'
  await using stage = await unrulyStage()
  const client = await modernClient(stage)
  const seen = textOf(await client.callTool({ name: 'read_environment', arguments: {} }))
  assert.ok(seen.includes('UNRULY_KEY'))
  assert.ok(!seen.includes(secret), 'the secret is masked')
  assert.ok(!seen.includes('of-the-gateway-alone'))
  assert.ok(!seen.includes('SALLYPORT_TEST_OTHER'))
  await client.close()
  assert.ok(!JSON.stringify(await stage.gateway.entries()).includes(secret))
})

test('P6: a process that crashes, floods or talks nonsense fails its call, and the next call has another', async () => {
  await using stage = await unrulyStage({ limits: { message: '128KiB' } })
  const client = await modernClient(stage)
  const pid = async (): Promise<string> => textOf(await client.callTool({ name: 'read_pid', arguments: {} }))
  let before = await pid()
  for (const name of ['crash', 'flood', 'talk_on']) {
    await assert.rejects(client.callTool({ name, arguments: {} }), /process|message/, name)
    // One that has failed several times is waited with, for a short while.
    const after = await until(`another process after ${name}`, async () => {
      try {
        return await pid()
      } catch {
        return false
      }
    })
    assert.notEqual(after, before)
    before = after
  }
  assert.equal(textOf(await client.callTool({ name: 'babble', arguments: {} })), 'done')
  assert.equal(await pid(), before, 'a stray line is let by')
  await client.close()
  await stage.gateway.running.close(0)
  await stage.world.configure({})
  await using later = await openGateway(stage.world)
  const entries = await later.entries()
  const started = entries.filter(({ kind }) => kind === 'process.started')
  const ended = entries.filter(({ kind }) => kind === 'process.ended')
  assert.ok(started.length >= 4)
  assert.deepEqual(new Set(pidsOf(ended)), new Set(pidsOf(started)), 'each start has its end')
  const [crashed] = ended
  assert.equal(crashed?.['reason'], 'it ended with status 3')
  assert.equal(crashed.outcome, 'failure')
  assert.equal(crashed.subject?.id, 'triage-agent')
  assert.equal(ended.at(-1)?.['reason'], 'the connection was closed')
  assert.equal(ended.at(-1)?.outcome, 'success')
  const needed = entries.find(({ action }) => action === processOf(started[0]!).for_action)
  assert.ok(needed !== undefined, 'the action that needed it is in the log')
})

test('calls beyond what a process may have at once wait for their turn where they may', async () => {
  await using stage = await unrulyStage({}, { process: { calls: 1, queue: 2 } })
  const client = await modernClient(stage)
  await client.listTools()
  const calls = Array.from({ length: 3 }, () => client.callTool({ name: 'read_pid', arguments: {} }))
  const pids = (await Promise.all(calls)).map(textOf)
  assert.equal(new Set(pids).size, 1)
  await client.close()
})

test('a process that never answers costs its caller the time that was set, and nobody else anything', async () => {
  await using stage = await unrulyStage({ timeouts: { headers: '500ms' } })
  const client = await modernClient(stage)
  const silent = client.callTool({ name: 'be_silent', arguments: {} })
  const rejected = assert.rejects(silent, /took too long/)
  assert.notEqual(textOf(await client.callTool({ name: 'read_pid', arguments: {} })), '')
  await rejected
  await client.close()
})

test('a process has no more calls at once than it may', async () => {
  await using stage = await unrulyStage({ timeouts: { headers: '5s' } }, { process: { calls: 1 } })
  const client = await modernClient(stage)
  await client.listTools()
  const stop = new AbortController()
  const gone = assert.rejects(client.callTool({ name: 'be_silent', arguments: {} }, { signal: stop.signal }))
  await assert.rejects(
    until('a refusal', async () => {
      await client.callTool({ name: 'read_pid', arguments: {} })
      return false
    }),
    /as many calls as it may have/,
  )
  stop.abort()
  await gone
  await client.close()
})

test('at its end a process is asked by its input, then by SIGTERM, then killed; none is left', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-unruly-'))
  const diary = join(directory, 'diary')
  const stage = await unrulyStage({ diary })
  try {
    const client = await modernClient(stage)
    assert.equal(textOf(await client.callTool({ name: 'ignore_sigterm', arguments: {} })), 'deaf')
    await client.close()
  } finally {
    await stage[Symbol.asyncDispose]()
  }
  const lines = (await readFile(diary, 'utf8')).trim().split('\n')
  await rm(directory, { recursive: true })
  const pids = lines.flatMap(line => /^pid (\d+)$/.exec(line)?.[1] ?? [])
  assert.equal(pids.length, 1)
  assert.ok(lines.includes('SIGTERM'))
  assert.equal(isAlive(Number(pids[0])), false)
})

test('another command in the configuration is another process, and one per identity unless said otherwise', async () => {
  for (const per of ['identity', 'gateway']) {
    await using stage = await unrulyStage({}, { process: { per } })
    const other = await stage.world.token('ana')
    await stage.world.configure({
      policy: { rules: [{ name: 'all', effect: 'allow' }] },
    })
    await stage.gateway.running.reload()
    const pids = new Set<string>()
    for (const token of [stage.token, stage.token, other]) {
      const client = await modernClient({ url: stage.url, token })
      pids.add(textOf(await client.callTool({ name: 'read_pid', arguments: {} })))
      await client.close()
    }
    assert.equal(pids.size, per === 'identity' ? 2 : 1)
    const [connection] = stage.world.config.connections as unknown as { servers: { env: object }[] }[]
    connection!.servers[0]!.env = { UNRULY_KEY: '${key}', ANOTHER: 'one' }
    await stage.world.configure({})
    assert.equal(await stage.gateway.running.reload(), true)
    const client = await modernClient(stage)
    assert.ok(!pids.has(textOf(await client.callTool({ name: 'read_pid', arguments: {} }))))
    await client.close()
  }
})

test('a process that nobody uses is stopped, and one that is at work is not', async () => {
  await using stage = await unrulyStage({}, { process: { idle: '1s' } })
  await stage.world.configure({ policy: { rules: [{ name: 'all', effect: 'allow' }] } })
  await stage.gateway.running.reload()
  const busy = await modernClient(stage)
  const working = Number(textOf(await busy.callTool({ name: 'read_pid', arguments: {} })))
  const stop = new AbortController()
  const silent = assert.rejects(busy.callTool({ name: 'be_silent', arguments: {} }, { signal: stop.signal }))
  await stage.gateway.waitForEntries(
    1,
    ({ kind, operation }) => kind === 'action.intended' && operation === 'tools/call:be_silent',
  )
  const client = await modernClient({ url: stage.url, token: await stage.world.token('ana') })
  const pid = async (): Promise<number> =>
    Number(textOf(await client.callTool({ name: 'read_pid', arguments: {} })))
  const before = await pid()
  const [ended] = await stage.gateway.waitForEntries(1, ({ kind }) => kind === 'process.ended')
  assert.equal(processOf(ended!).pid, before)
  assert.equal(ended!['reason'], 'nobody used it')
  assert.equal(ended!.outcome, 'success')
  assert.equal(isAlive(before), false)
  assert.equal(isAlive(working), true)
  assert.notEqual(await pid(), before)
  stop.abort()
  await silent
  await client.close()
  await busy.close()
})

test('P6: a process that never begins costs the time that was set, and is started again with pauses', async () => {
  const args = ['-e', 'process.stdin.resume()']
  await using stage = await unrulyStage({}, { args, process: { start: '300ms' } })
  const late = 'it did not finish the handshake in time'
  for (let i = 0; i < 2; i++) await assert.rejects(legacyClient(stage), new RegExp(`took too long: ${late}`))
  // The pause is short, and another start makes it longer.
  await until('a refusal without a start', async () => {
    const said = String(await legacyClient(stage).catch(String))
    return new RegExp(`its start failed: ${late}; it is started again in \\d+ s`).test(said)
  })
  const ended = await stage.gateway.waitForEntries(2, ({ kind }) => kind === 'process.ended')
  assert.deepEqual(
    ended.map(({ reason, outcome }) => [reason, outcome]),
    ended.map(() => [`its start failed: ${late}`, 'failure']),
  )
  for (const pid of pidsOf(ended)) assert.equal(isAlive(pid), false)
})

test('P6: a process that takes more memory than it may fails its call, and the next call has another', async () => {
  await using stage = await unrulyStage({}, { process: { memory: '1GiB' } })
  const client = await modernClient(stage)
  const pid = async (): Promise<number> =>
    Number(textOf(await client.callTool({ name: 'read_pid', arguments: {} })))
  const before = await pid()
  await assert.rejects(client.callTool({ name: 'grow', arguments: {} }), /the server’s process/)
  const [ended] = await stage.gateway.waitForEntries(1, ({ kind }) => kind === 'process.ended')
  assert.equal(processOf(ended!).pid, before)
  assert.match(String(ended!['reason']), /^it ended (?:by|with status)/)
  assert.equal(ended!.outcome, 'failure')
  assert.notEqual(await pid(), before)
  await client.close()
})
