/** The suite's `--command`: tells the gateway under test which server to go to, and waits. `<control> <server>`. */
import process from 'node:process'

const [control, server] = process.argv.slice(-2)
const answer = await fetch(control!, {
  method: 'POST',
  body: JSON.stringify({
    scenario: process.env['MCP_CONFORMANCE_SCENARIO'],
    server,
    context: JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as unknown,
  }),
})
if (!answer.ok) {
  process.stderr.write(`${await answer.text()}\n`)
  process.exitCode = 1
}
