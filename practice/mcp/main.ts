/** `main.ts [port]`: the practice MCP server over HTTP; `main.ts --stdio`: over standard input and output. */
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { buildServer } from './fixture/build-server.ts'
import { startPracticeMcp } from './practice-mcp.ts'

if (process.argv[2] === '--stdio') {
  serveStdio(() => buildServer())
} else {
  const { url } = await startPracticeMcp({ port: Number(process.argv[2] ?? 0) })
  process.stdout.write(`${url}\n`)
}
