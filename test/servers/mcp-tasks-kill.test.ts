/** A gateway that is killed while the call of a task runs. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { approver } from '../support/approver.ts'
import { spawnGateway } from '../support/child-gateway.ts'
import { allowAll } from '../support/mcp-stage.ts'
import { taskClient } from '../support/task-client.ts'
import { createWorld } from '../support/world.ts'

test('P2, P5: after a kill the call of a task is closed as unknown, the task says so, and it never runs again', async () => {
  let ran = 0
  const begun = new EventTarget()
  await using practice = await startPracticeMcp({
    extend: server =>
      void server.registerTool('lasts', {}, async context => {
        ran++
        begun.dispatchEvent(new Event('begun'))
        await once(context.mcpReq.signal, 'abort')
        return { content: [] }
      }),
  })
  await using world = await createWorld({
    config: {
      connections: [
        { name: 'tools', protocol: 'mcp', servers: [{ name: 'main', url: practice.url }] },
      ] as never,
      policy: {
        rules: [
          ...allowAll,
          {
            name: 'ask',
            effect: 'require_approval',
            operations: ['tools/call:lasts'],
            approval: { approvers: ['group:security'], expires: '10m' },
          },
        ],
      },
    },
  })
  const token = await world.token('triage-agent')
  let taskId: unknown
  {
    await using gateway = await spawnGateway(world)
    const client = taskClient({ url: `${gateway.url}/c/tools`, token })
    taskId = (await client.call('lasts')).result?.['taskId']
    assert.match(String(taskId), /^task_/)
    await approver(gateway.url, await world.token('cam')).approveNext()
    const started = once(begun, 'begun')
    const polled = client.ask('tasks/get', { taskId }).catch(() => undefined)
    await started
    await gateway.kill()
    await polled
  }
  await using gateway = await spawnGateway(world)
  const client = taskClient({ url: `${gateway.url}/c/tools`, token })
  for (let i = 0; i < 3; i++) {
    const { result } = await client.ask('tasks/get', { taskId })
    assert.equal(result?.['status'], 'failed')
    assert.match(JSON.stringify(result['error']), /unknown/)
  }
  // Nor do answers, or a listener that would let a held call begin.
  await client.ask('tasks/update', { taskId, inputResponses: {} })
  const listening = new AbortController()
  for await (const { method, params } of client.listen([taskId], listening.signal)) {
    if (method !== 'notifications/tasks') continue
    assert.equal(params?.['status'], 'failed')
    break
  }
  listening.abort()
  assert.equal(ran, 1)
  const ends = (await gateway.entries()).filter(
    each => each.operation === 'tools/call:lasts' && each.kind.startsWith('action.'),
  )
  assert.deepEqual(
    ends.map(({ kind }) => kind),
    ['action.intended', 'action.denied', 'action.intended', 'action.outcome_unknown'],
  )
})
