/** Tasks, both ways: a call that waits for a person, and a server's own. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type PracticeMcp, startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { approver } from '../support/approver.ts'
import { openGateway } from '../support/gateway.ts'
import { allowAll, mcpStage, type McpStage } from '../support/mcp-stage.ts'
import { type Message, taskClient } from '../support/task-client.ts'

let practice: PracticeMcp
let stage: McpStage
let ran = 0

const asks = {
  name: 'people-decide',
  effect: 'require_approval' as const,
  operations: ['tools/call:counts', 'tools/call:test_tool_with_task', 'tools/call:slow_compute'],
  when: '!has(request.arguments.seconds) || request.arguments.seconds > 1.0',
  approval: { approvers: ['group:security'], expires: '10m' },
}
const rules = [
  ...allowAll.map(rule => ({ ...rule, mask: ['personal'] })),
  { name: 'people-do-all', effect: 'allow' as const },
  asks,
]

before(async () => {
  practice = await startPracticeMcp({
    extend: server =>
      void server.registerTool('counts', { description: 'Counts its runs' }, () => ({
        content: [{ type: 'text', text: `run ${++ran} for ana@example.com` }],
      })),
  })
  const servers = [{ name: 'main', url: practice.url }]
  const connections = ['tools', 'others'].map(name => ({ name, protocol: 'mcp', servers }))
  stage = await mcpStage({}, { rules, config: { connections } as never })
})

after(async () => {
  await stage[Symbol.asyncDispose]()
  await practice.close()
})

const security = async () => approver(stage.gateway.url, await stage.world.token('cam'))

test('P5: a held call is a task, runs once after the yes however many ask, and each is given the one result', async () => {
  const client = taskClient(stage)
  const { result: task } = await client.call('counts', { a: 1 })
  assert.equal(task?.['resultType'], 'task')
  assert.equal(task['status'], 'working')
  assert.match(
    String(task['statusMessage']),
    /has not been executed.*ap_\w+, pending: http.*\/console\/approvals\/ap_/,
  )
  const pause = Number(task['pollIntervalMs'])
  assert.ok(pause >= 2000 && pause <= 5000)
  const ttl = Number(task['ttlMs'])
  assert.ok(ttl > 500_000 && ttl <= 600_000, 'as long as its approval')
  const { taskId } = task
  assert.equal((await client.ask('tasks/get', { taskId })).result?.['status'], 'working')
  const before = ran
  await (await security()).approveNext()
  const all = await Promise.all(Array.from({ length: 8 }, () => client.poll(taskId)))
  assert.equal(ran, before + 1)
  for (const each of all) {
    assert.equal(each['status'], 'completed')
    assert.match(JSON.stringify(each['result']), new RegExp(`run ${ran} for`))
    assert.doesNotMatch(JSON.stringify(each['result']), /ana@example/)
  }
  const entries = await stage.gateway.entries()
  const runs = entries.filter(
    each => each.kind === 'action.completed' && each.operation === 'tools/call:counts',
  )
  assert.equal(runs.length, 1)
  assert.equal((runs[0]!['approval'] as { state: string }).state, 'consumed')
  const handed = entries.filter(
    each => each.kind === 'action.completed' && each.operation === 'tasks/get:counts',
  )
  assert.equal(handed.length, 8, 'each handing over is an action')
  assert.deepEqual((handed[0]!['mcp'] as { task: object }).task, { id: taskId, status: 'completed' })
})

test('attack: a task of another person, of another connection, or guessed, is not there', async () => {
  const client = taskClient(stage)
  const { result: task } = await client.call('counts', { a: 2 })
  const taskId = String(task?.['taskId'])
  const other = taskClient({ ...stage, token: await stage.world.token('ana') })
  const elsewhere = taskClient({ ...stage, url: `${stage.gateway.url}/c/others` })
  for (const thief of [other, elsewhere])
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
      assert.deepEqual((await thief.ask(method, { taskId, inputResponses: {} })).error?.code, -32602)
  const guesses = [
    `${taskId.slice(0, -1)}A`,
    'task_../../../etc',
    `task_${'A'.repeat(32)}`,
    '',
    'x'.repeat(4096),
  ]
  for (const guess of guesses)
    assert.equal((await client.ask('tasks/get', { taskId: guess })).error?.code, -32602, guess)
  const stop = new AbortController()
  for await (const { params } of other.listen([taskId], stop.signal)) {
    assert.deepEqual(params?.['notifications'], {})
    break
  }
  stop.abort()
  assert.equal((await client.ask('tasks/get', { taskId })).result?.['status'], 'working', 'it goes on')
  await client.ask('tasks/cancel', { taskId })
})

test('a task that is cancelled withdraws what was asked, and one that is denied says so in the result of the call', async () => {
  const client = taskClient(stage)
  const cam = await security()
  const before = ran
  const cancelled = (await client.call('counts', { a: 3 })).result
  const [open] = await cam.pending()
  const { taskId } = cancelled!
  assert.deepEqual((await client.ask('tasks/cancel', { taskId })).result, { resultType: 'complete' })
  assert.equal((await client.poll(taskId))['status'], 'cancelled')
  assert.equal((await cam.vote(open!.id, 'approve')).status, 409)
  const denied = (await client.call('counts', { a: 4 })).result
  const [next] = await cam.pending()
  await cam.vote(next!.id, 'deny')
  const end = await client.poll(denied!['taskId'])
  assert.equal(end['status'], 'completed')
  assert.equal((end['result'] as { isError: boolean }).isError, true)
  assert.match(JSON.stringify(end['result']), /it was not executed.*people-decide/)
  assert.equal(ran, before)
})

test('the same call sent again may use the yes; the task then says so and runs nothing', async () => {
  const client = taskClient(stage)
  const { result: task } = await client.call('counts', { a: 5 })
  await (await security()).approveNext()
  const before = ran
  assert.equal((await client.call('counts', { a: 5 })).result?.['resultType'], 'complete')
  const end = await client.poll(task?.['taskId'])
  assert.equal(end['status'], 'cancelled')
  assert.match(String(end['statusMessage']), /sent again/)
  assert.equal(ran, before + 1)
})

test('a listener hears of the yes and of the result, and its presence is enough for the call to run', async () => {
  const client = taskClient(stage)
  const { result: task } = await client.call('counts', { a: 6 })
  const stop = new AbortController()
  const heard: Message[] = []
  const cam = await security()
  for await (const message of client.listen([task?.['taskId']], stop.signal)) {
    heard.push(message)
    if (heard.length === 2) void cam.approveNext()
    if (message.params?.['status'] === 'completed') break
  }
  stop.abort()
  assert.deepEqual(heard[0]?.params?.['notifications'], { taskIds: [task?.['taskId']] })
  assert.equal(heard[1]?.params?.['status'], 'working')
  assert.match(JSON.stringify(heard.at(-1)?.params?.['result']), /run \d+ for/)
  assert.doesNotMatch(JSON.stringify(heard), /ana@example/)
})

test('a server that asks first and then works as a task: questions, answers and its own task are behind the one id', async () => {
  const client = taskClient(stage)
  const { result: task } = await client.call('test_tool_with_task', {})
  const { taskId } = task!
  await (await security()).approveNext()
  const asking = await client.poll(taskId, each => each['status'] === 'input_required')
  const keys = Object.keys(asking['inputRequests'] as object)
  assert.equal(keys.length, 1)
  const content = { name: 'Ana' }
  await client.ask('tasks/update', {
    taskId,
    inputResponses: { unknown: {}, [keys[0]!]: { action: 'accept', content } },
  })
  const end = await client.poll(taskId)
  assert.match(JSON.stringify(end['result']), /done for Ana/)
})

test('P8: a server’s own task has another id here, is its caller’s alone, and its result is masked', async () => {
  const client = taskClient(stage)
  const { result: task } = await client.call('slow_compute', { seconds: 0.1, label: 'ana@example.com' })
  const { taskId } = task!
  assert.match(String(taskId), /^task_[\w-]{32}$/)
  const other = taskClient({ ...stage, token: await stage.world.token('ana') })
  assert.equal((await other.ask('tasks/get', { taskId })).error?.code, -32602)
  const end = await client.poll(taskId)
  assert.equal(end['taskId'], taskId)
  assert.match(JSON.stringify(end['result']), /computed .* in 0\.1 s/)
  assert.doesNotMatch(JSON.stringify(end), /ana@example/)
  const { result: second } = await client.call('slow_compute', { seconds: 1 })
  await client.ask('tasks/cancel', { taskId: second?.['taskId'] })
  assert.equal((await client.poll(second?.['taskId']))['status'], 'cancelled')
  const plain = taskClient(stage, {})
  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
    assert.equal((await plain.ask(method, { taskId })).error?.code, -32021)
})

test('P5: a task outlives the gateway: it waits, runs once, and its result is there after the next restart', async () => {
  const client = taskClient(stage)
  const { result: task } = await client.call('counts', { a: 7 })
  const { taskId } = task!
  await stage.gateway.close(0)
  const before = ran
  {
    await using again = await openGateway(stage.world)
    const later = taskClient({ ...stage, url: `${again.url}/c/tools` })
    assert.equal((await later.ask('tasks/get', { taskId })).result?.['status'], 'working')
    await approver(again.url, await stage.world.token('cam')).approveNext()
    assert.equal((await later.poll(taskId))['status'], 'completed')
  }
  await using last = await openGateway(stage.world)
  const later = taskClient({ ...stage, url: `${last.url}/c/tools` })
  const end = (await later.ask('tasks/get', { taskId })).result
  assert.match(JSON.stringify(end?.['result']), new RegExp(`run ${before + 1} for`))
  assert.equal(ran, before + 1)
})
