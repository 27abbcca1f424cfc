/** The conformance suite against the gateway's own MCP server, which has none of the tools that the suite looks for. */
import { addHeader, type Check, type Revision, runSuite, type SuiteRun } from './conformance.ts'
import { openGateway } from './gateway.ts'
import { createWorld } from './world.ts'

/** Scenarios that need nothing of a server but that it is one. */
export const ownScenarios: readonly string[] = [
  'caching',
  'dns-rebinding-protection',
  'http-header-validation',
  'input-required-result-unsupported-methods',
  'input-required-result-validate-input',
  'ping',
  'server-initialize',
  'server-session-lifecycle',
  'server-sse-multiple-streams',
  'server-stateless',
  'tools-list',
]

/** Why a check of these can't pass there; undefined where it must. */
export function ownException({ id, errorMessage = '' }: Check): string | undefined {
  if (errorMessage.startsWith('Not testable')) return 'it looks for a tool of the suite’s own'
  if (/^sep-2549-(prompts|resources)/.test(id))
    return 'the server has neither prompts nor resources, and says so'
  return undefined
}

/** The checks of these scenarios, and of every other that its messages have the form of the revision. */
export function ownChecks(run: SuiteRun): Check[] {
  return run.checks.filter(
    ({ scenario, id }) => ownScenarios.includes(scenario) || id === 'wire-schema-valid',
  )
}

export async function runOwn(revision: Revision): Promise<SuiteRun> {
  await using world = await createWorld()
  await using gateway = await openGateway(world)
  const token = await world.token('cam')
  await using front = await addHeader(`${gateway.url}/mcp`, ['Authorization', `Bearer ${token}`])
  return await runSuite('server', ['--url', front.url, '--requirements', revision])
}
