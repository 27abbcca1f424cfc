/**
 * The official conformance suite of MCP, as scores: a fixture server directly and through a gateway with everything on, the
 * gateway's own MCP server, and the gateway as an OAuth client of its upstreams. Prints the tables and writes
 * `bench/results/mcp-conformance.md`.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startPracticeMcp } from '../practice/mcp/practice-mcp.ts'
import {
  type Check,
  exceptionFor,
  lost,
  revisions,
  runSuite,
  runThrough,
} from '../test/support/conformance.ts'
import { authLegs, otherLegs, startAuthSubject } from '../test/support/conformance-auth.ts'
import { ownChecks, ownException, runOwn } from '../test/support/conformance-own.ts'
import { root } from '../test/sources.ts'

const statuses = ['SUCCESS', 'FAILURE', 'WARNING', 'SKIPPED'] as const

function row(name: string, checks: readonly Check[]): string {
  const counts = statuses.map(status => checks.filter(each => each.status === status).length)
  return `| ${name} | ${counts.join(' | ')} |`
}

const head = ['| | passed | failed | warned | skipped |', '|---|---|---|---|---|']

async function servers(): Promise<string[]> {
  const lines = ['## Servers, directly and through the gateway', '', ...head]
  const differences: string[] = []
  const explained = new Map<string, number>()
  for (const revision of revisions) {
    await using practice = await startPracticeMcp()
    const direct = await runSuite('server', ['--url', practice.url, '--requirements', revision])
    const { run: through } = await runThrough(practice.url, revision)
    lines.push(row(`${revision}, directly`, direct.checks), row(`${revision}, through`, through.checks))
    for (const [name, instead] of lost(direct.checks, through.checks)) {
      const why = exceptionFor(name)
      if (why === undefined)
        differences.push(`- ${revision} \`${name}\`, ${cell(instead)}: **not explained**`)
      else explained.set(why, (explained.get(why) ?? 0) + 1)
    }
  }
  for (const [why, count] of explained) differences.push(`- ${count} checks: ${why}`)
  if (differences.length === 0) return [...lines, '', 'Each check that passes directly passes through.', '']
  return [...lines, '', 'What passes directly and not through:', '', ...differences, '']
}

async function own(): Promise<string[]> {
  const lines = ['## The gateway’s own MCP server', '', ...head]
  const excused = new Map<string, string>()
  for (const revision of revisions) {
    const checks = ownChecks(await runOwn(revision))
    for (const each of checks) {
      const why = each.status === 'FAILURE' ? ownException(each) : undefined
      if (why !== undefined) excused.set(each.id, why)
    }
    const rest = checks.filter(each => each.status !== 'FAILURE' || ownException(each) === undefined)
    lines.push(row(revision, rest))
  }
  const listed = [...excused].map(([id, why]) => `| \`${id}\` | ${why} |`)
  return [
    ...lines,
    '',
    'Left out, since they can not pass there:',
    '',
    '| check | why |',
    '|---|---|',
    ...listed,
    '',
  ]
}

async function clients(): Promise<string[]> {
  await using subject = await startAuthSubject()
  const lines = ['## The gateway as an OAuth client of its upstreams', '', ...head]
  for (const leg of authLegs) {
    const run = await runSuite('client', ['--command', subject.command, '--scenario', leg])
    lines.push(row(`\`${leg}\``, run.checks))
  }
  const rest = Object.entries(otherLegs).map(([leg, why]) => `| \`${leg}\` | ${why} |`)
  return [...lines, '', 'Not taken:', '', '| leg | why |', '|---|---|', ...rest, '']
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ').slice(0, 120)
}

const { version } = JSON.parse(
  await readFile(join(root, 'node_modules/@modelcontextprotocol/conformance/package.json'), 'utf8'),
) as { version: string }
const text = [
  '# MCP conformance',
  '',
  `\`@modelcontextprotocol/conformance\` ${version}. Written by \`script/mcp-conformance\`; the same comparison fails in CI`,
  'where a check is lost (`test/servers/mcp-conformance.test.ts`, `test/servers/mcp-auth-conformance.test.ts`). The gateway',
  'has rules with conditions, masks, pins and recordings on. Both sets of requirements are run whole, what is not scored',
  'in them included.',
  '',
  ...(await servers()),
  ...(await own()),
  ...(await clients()),
  'In these legs the address, the scope and the client are configured from what the suite’s server says of itself, as an',
  'administrator would; the gateway finds the endpoints, asks the person, proves the client, and presents the token. For',
  'servers the suite has no legs about tokens: that the gateway is a proper resource server is tested with the SDKs’ own',
  'clients (`test/servers/mcp-auth.test.ts`, `test/servers/mcp-enterprise.test.ts`).',
  '',
].join('\n')
await writeFile(join(root, 'bench/results/mcp-conformance.md'), text)
process.stdout.write(text)
