/** Runs the sample agent: `DD_BASE_URL=... DD_TOKEN=... script/node practice/agent/main.ts`. */
import { type AgentStep, runSampleAgent } from './agent.ts'

const baseUrl = process.env['DD_BASE_URL']
const token = process.env['DD_TOKEN']
if (baseUrl === undefined || token === undefined) {
  process.stderr.write('set DD_BASE_URL (where Datadog is reached) and DD_TOKEN (the gateway’s token)\n')
  process.exit(2)
}
const show = ({ asked, outcome, status, got }: AgentStep) => {
  const indented = got.replaceAll(/^/gm, '    ')
  process.stdout.write(`${asked}\n  ${outcome}${status === 0 ? '' : ` (${status})`}\n${indented}\n\n`)
}
const steps = await runSampleAgent({ baseUrl, token, onStep: show })
process.exitCode = steps.some(step => step.outcome === 'failed') ? 1 : 0
