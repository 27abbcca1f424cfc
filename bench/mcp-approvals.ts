/**
 * How clients of MCP with their default settings stand a person who takes their time: an approval after 10 s, 2 min and
 * 5 min, for a client of each era. Takes a little over 5 minutes. `script/node bench/mcp-approvals.ts`
 */
import { startPracticeMcp } from '../practice/mcp/practice-mcp.ts'
import { approver } from '../test/support/approver.ts'
import { legacyClient, mcpStage, modernClient } from '../test/support/mcp-stage.ts'

const delays = [10_000, 120_000, 300_000]

interface Answer {
  readonly isError?: unknown
  readonly structuredContent?: unknown
}

interface Caller {
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>
}

/** Calls, and goes on as the answers say, until the call has run. */
async function callUntilDone(client: Caller, name: string): Promise<{ calls: number; waits: number }> {
  const call = { name: 'greet', arguments: { name } }
  for (let [calls, waits] = [1, 0]; ; calls++) {
    const answer = (await client.callTool(call)) as Answer
    if (answer.isError !== true) return { calls, waits }
    const { approval_id: id } = answer.structuredContent as { approval_id: string }
    for (let state = 'pending'; state === 'pending'; waits++) {
      const waited = (await client.callTool({ name: 'approval_wait', arguments: { id } })) as Answer
      state = (waited.structuredContent as { state: string }).state
    }
  }
}

await using practice = await startPracticeMcp()
const asks = {
  name: 'people-decide',
  effect: 'require_approval' as const,
  operations: ['tools/call:greet'],
  approval: { approvers: ['group:security'] },
}
const rules = [{ name: 'all', effect: 'allow' as const }, asks]
const eras = { modern: modernClient, legacy: legacyClient }

async function run(era: keyof typeof eras, delay: number): Promise<string> {
  await using stage = await mcpStage({ servers: [{ name: 'main', url: practice.url }] }, { rules })
  const cam = approver(stage.gateway.url, await stage.world.token('cam'))
  const client = await eras[era](stage)
  const began = performance.now()
  const [{ calls, waits }] = await Promise.all([callUntilDone(client, 'Ana'), cam.approveNext(delay)])
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  await client.close()
  return `| ${era} | ${delay / 1000} s | ${seconds} s | ${calls} | ${waits} |`
}

console.log('| client | person | answered after | calls | of approval_wait |\n|---|---|---|---|---|')
const all = delays.flatMap(delay => [run('modern', delay), run('legacy', delay)])
for (const each of await Promise.all(all)) console.log(each)
