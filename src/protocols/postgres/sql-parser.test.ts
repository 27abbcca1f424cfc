import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const program = `
const { loadModule, parseSync } = await import(${JSON.stringify(join(import.meta.dirname, 'sql-parser.ts'))})
await loadModule()
for (let i = 0; i < 4000; i++) {
  parseSync(\`select a.id, b.name as n\${i} from sales.orders a join customers b on a.cid = b.id where b.region = 'r\${i}' and a.total > \${i} order by 1 limit 10\`)
  if (i % 100 === 0) await new Promise(resolve => setTimeout(resolve, 5))
}
console.log(process.resourceUsage().maxRSS)
`

test('P12: to parse many statements takes no hundreds of megabytes', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  const kibibytes = Number(stdout)
  assert.ok(kibibytes > 0 && kibibytes < 250_000, `${kibibytes} KiB`)
})
