/** The command line beside a running gateway: what each command says, in words and as JSON, and how it ends. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { stringify } from 'yaml'
import type { Entry } from '../../src/audit/events.ts'
import { type CommandResult, followCli, runCli } from '../support/cli.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { createWorld, type World } from '../support/world.ts'

const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway
let agent: string

before(async () => {
  world = opened.use(await createWorld())
  gateway = opened.use(await openGateway(world))
  agent = await world.token('triage-agent')
  const headers = { authorization: `Bearer ${agent}`, 'content-type': 'application/json' }
  const base = `${gateway.url}/c/datadog`
  await ask(`${base}/api/v1/dashboard`, { headers })
  const body = JSON.stringify({ title: "It's made", text: 'with $HOME and "quotes"' })
  await ask(`${base}/api/v1/events`, { method: 'POST', headers, body })
  const packed = gzipSync(JSON.stringify({ title: 'Packed', text: 'gzip' }))
  await ask(`${base}/api/v1/events`, {
    method: 'POST',
    headers: { ...headers, 'content-encoding': 'gzip' },
    body: packed,
  })
  await ask(`${base}/api/v1/monitor/1`, { method: 'DELETE', headers })
  const { storage } = gateway.running.services
  await storage.index.whenIndexed(storage.log.size)
})

after(() => opened.disposeAsync())

async function ask(url: string, init: RequestInit): Promise<void> {
  await (await fetch(url, init)).arrayBuffer()
}

/** As this machine's own user, through the socket. */
function cli(...args: string[]): Promise<CommandResult> {
  return runCli(args, { cwd: world.directory })
}

/** As somebody with a token, over the network. */
async function cliAs(who: string, ...args: string[]): Promise<CommandResult> {
  const env = { SALLYPORT_URL: gateway.url, SALLYPORT_TOKEN: await world.token(who) }
  return runCli(args, { cwd: world.directory, env })
}

function json<T>({ stdout, stderr, code }: CommandResult): T[] {
  assert.equal(code, 0, stderr)
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as T)
}

function words({ stdout, stderr, code }: CommandResult): string {
  assert.equal(code, 0, stderr)
  assert.doesNotMatch(stdout, /\u001b/, 'no colour in a pipe')
  return stdout
}

test('audit search, show and export', async () => {
  const [found, denied, shown, listed, none] = await Promise.all([
    cli('audit', 'search', '--operation', 'v1.*', '--outcome', 'success', '--json'),
    cli('audit', 'search', '--outcome', 'denied'),
    cli('audit', 'show', '0', '--json'),
    cli('audit', 'export', '-o', 'out.ndjson', '--kind', 'action.completed'),
    cli('audit', 'search', '--identity', 'nobody@example.com'),
  ])
  assert.deepEqual(
    json<Entry>(found).map(each => each.operation),
    ['v1.createEvent', 'v1.createEvent', 'v1.listDashboards'],
  )
  assert.match(words(denied), /v1\.deleteMonitor.*rule no-monitor-deletes/)
  assert.equal(json<Entry>(shown)[0]?.kind, 'log.opened')
  assert.equal(listed.code, 0)
  const lines = (await readFile(join(world.directory, 'out.ndjson'), 'utf8')).trim().split('\n')
  const entries = (await gateway.entries()).filter(each => each.kind === 'action.completed')
  assert.deepEqual(
    lines.map(line => JSON.parse(line) as Entry),
    entries,
  )
  assert.equal(words(none), '')
  assert.match(none.stderr, /nothing matches/)
  assert.equal((await cli('audit', 'show', '999999')).code, 1)
})

test('audit tail shows the log as it grows', async () => {
  await using tail = followCli(['audit', 'tail', '--from', '0', '--connection', 'datadog', '--json'], {
    cwd: world.directory,
  })
  const kinds = (): string[] => tail.lines().map(line => (JSON.parse(line) as Entry).kind)
  await until('what was there', () => kinds().includes('action.denied'))
  const before = kinds().length
  await ask(`${gateway.url}/c/datadog/api/v1/dashboard`, { headers: { authorization: `Bearer ${agent}` } })
  await until('what is new', () => kinds().length >= before + 2)
  assert.deepEqual(kinds().slice(before, before + 2), ['action.intended', 'action.completed'])
})

test('P3: a receipt from the command line verifies offline, and a changed entry does not', async () => {
  const vkey = join(world.data, 'log/log.vkey')
  const receipt = await until('a checkpoint covers the entry', async () => {
    const made = await cli('audit', 'receipt', '5', '-o', 'five.tlog-proof')
    if (made.code !== 0) assert.match(made.stderr, /no checkpoint covers the entry yet/)
    return made.code === 0 && made
  })
  assert.equal(receipt.stderr, '')
  const shown = await cli('audit', 'export')
  const entry = shown.stdout.split('\n')[5]!
  await writeFile(join(world.directory, 'entry.json'), entry)
  await writeFile(join(world.directory, 'other.json'), entry.replace('"v":1', '"v":2'))
  const verify = (file: string): Promise<CommandResult> =>
    cli('verify', '--receipt', 'five.tlog-proof', '--entry', file, '--vkey', vkey)
  const [right, wrong, whole, asJson] = await Promise.all([
    verify('entry.json'),
    verify('other.json'),
    cli('verify'),
    cli('verify', '--json', '--vkey', vkey),
  ])
  assert.equal(right.code, 0, right.stdout)
  assert.equal(wrong.code, 1, wrong.stdout)
  assert.equal(whole.code, 0, whole.stdout)
  assert.match(whole.stderr, /the key came from the log’s own directory/)
  assert.equal(json<{ exit: number }>(asJson)[0]?.exit, 0)
  assert.equal((await cli('verify', '--dir', join(world.directory, 'absent'))).code, 2)
})

test('sessions list, show and replay; the printed curl works', async () => {
  const [session] = json<{ id: string; state: string }>(await cli('sessions', 'list', '--json'))
  const [list, show, replay, curl] = await Promise.all([
    cli('sessions', 'list', '--running'),
    cli('sessions', 'show', session!.id),
    cli('sessions', 'replay', session!.id),
    cli('sessions', 'replay', session!.id, '--curl'),
  ])
  assert.ok(words(list).includes(session!.id))
  assert.match(words(show), /Triage agent for ana@example\.com/)
  assert.match(words(replay), /> POST \/api\/v1\/events/)
  assert.match(words(replay), /< 202|< 200/)
  const made = world.datadog.state.events.length
  const commands = words(curl)
    .split(/^# .*\n/m)
    .filter(each => each.includes('/api/v1/events'))
  assert.equal(commands.length, 2)
  const env = { PATH: process.env['PATH'], SALLYPORT_URL: gateway.url, SALLYPORT_TOKEN: agent }
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', commands[0]!], { env })
  assert.match(stdout, /It's made/)
  assert.equal(world.datadog.state.events.length, made + 1)
  assert.equal(world.datadog.state.events.at(-1)?.['text'], 'with $HOME and "quotes"')
  await promisify(execFile)('/bin/sh', ['-c', commands[1]!], { env })
  assert.equal(world.datadog.state.events.at(-1)?.['title'], 'Packed')
  assert.equal((await cli('sessions', 'replay', 's_absent')).code, 1)
  const read = (await gateway.entries()).filter(each => each.kind === 'recording.read')
  assert.ok(read.length >= 2)
})

test('token create, list and revoke', async () => {
  const [made] = json<{ id: string; token: string }>(
    await cli('token', 'create', 'batch', '--on-behalf-of', 'ana@example.com', '--lifetime', '1h', '--json'),
  )
  const use = (): Promise<number> =>
    fetch(`${gateway.url}/c/datadog/api/v1/dashboard`, {
      headers: { 'dd-api-key': made!.token },
    }).then(async answer => (await answer.arrayBuffer(), answer.status))
  assert.equal(await use(), 200)
  const list = words(await cli('token', 'list'))
  assert.ok(list.includes(made!.id) && !list.includes(made!.token))
  assert.equal((await cli('token', 'revoke', made!.id)).code, 0)
  assert.equal(await use(), 401)
  assert.match(words(await cli('token', 'list')), /revoked/)
  assert.equal((await cli('token', 'revoke', 'absent')).code, 1)
})

test('policy check, test and explain, with and without a mistake', async () => {
  const policy = {
    rules: [{ name: 'reads', effect: 'allow', risks: ['read'] }],
    tests: [
      {
        name: 'reads are fine',
        connection: 'datadog',
        action: { operation: 'v1.listMonitors', risk: 'read' },
        expect: { effect: 'permit' },
      },
    ],
  }
  const at = (name: string): string => join(world.directory, name)
  await writeFile(at('good.yaml'), stringify(policy))
  await writeFile(
    at('wrong.yaml'),
    stringify({ ...policy, rules: [{ ...policy.rules[0], risks: ['write'] }] }),
  )
  await writeFile(at('bad.yaml'), 'rules:\n  - name: a\n    effect: alow\n')
  const question = ['--subject', 'ana@example.com', '--operation', 'v1.deleteMonitor', '--risk', 'delete']
  const [checked, bad, badJson, tested, wrong, own, explained, asJson] = await Promise.all([
    cli('policy', 'check', 'good.yaml'),
    cli('policy', 'check', 'bad.yaml'),
    cli('policy', 'check', 'bad.yaml', '--json'),
    cli('policy', 'test', 'good.yaml'),
    cli('policy', 'test', 'wrong.yaml'),
    cli('policy', 'check'),
    cli('policy', 'explain', ...question, '--connection', 'datadog'),
    cli('policy', 'explain', ...question, '--connection', 'datadog', '--json'),
  ])
  assert.match(words(checked), /valid: 1 rules/)
  assert.equal(bad.code, 1)
  assert.match(bad.stdout, /bad\.yaml:3:13/)
  assert.equal((JSON.parse(badJson.stdout) as { ok: boolean }).ok, false)
  assert.match(words(tested), /ok +reads are fine/)
  assert.equal(wrong.code, 1)
  assert.match(words(own), /valid: 3 rules/)
  assert.match(words(explained), /no-monitor-deletes/)
  assert.ok(JSON.stringify(json(asJson)[0]).includes('no-monitor-deletes'))
})

test('connections, export status, approvals and doctor', async () => {
  const [connections, status, statusJson, approvals, doctor] = await Promise.all([
    cli('connections', '--check', '--json'),
    cli('export', 'status'),
    cli('export', 'status', '--json'),
    cli('approvals', 'list', '--json'),
    cli('doctor'),
  ])
  const [datadog] = json<{ name: string; reachable: { ok: boolean } }>(connections)
  assert.deepEqual([datadog?.name, datadog?.reachable.ok], ['datadog', true])
  assert.match(words(status), /intake +datadog +running/)
  assert.equal(json<{ state: string }>(statusJson)[0]?.state, 'running')
  assert.deepEqual(json(approvals), [])
  assert.equal(doctor.code, 0, doctor.stdout)
  assert.match(doctor.stdout, /ok +sink intake: api_key +there, \d+ characters/)
  for (const { stdout, stderr } of [connections, doctor])
    assert.ok(!(stdout + stderr).includes(world.datadog.keys.apiKey))
})

test('login by device, whoami, and what a user may not', async () => {
  const env = { SALLYPORT_URL: gateway.url }
  const at = { cwd: world.directory, env }
  const login = await runCli(['login'], at)
  assert.equal(login.code, 0, login.stderr)
  assert.match(login.stderr, /confirm the code [A-Z]{4}-[A-Z]{4}|confirm the code \S+/)
  assert.match(login.stdout, /ana@example\.com \(user/)
  const [me] = json<{ roles: string[]; subject: { email: string } }>(await runCli(['whoami', '--json'], at))
  assert.deepEqual([me?.subject.email, me?.roles], ['ana@example.com', ['user']])
  const refused = await runCli(['audit', 'search'], at)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /this needs the role auditor/)
  assert.equal(refused.stdout, '')
  assert.equal((await runCli(['logout'], at)).code, 0)
  assert.equal((await runCli(['whoami'], at)).code, 4)
  // The roles of others: an auditor reads and makes no tokens, an administrator the other way round.
  const [read, make, readAsAdmin, makeAsAdmin] = await Promise.all([
    cliAs('cam', 'audit', 'search', '--limit', '1', '--json'),
    cliAs('cam', 'token', 'create', 'mine'),
    cliAs('bo', 'audit', 'search'),
    cliAs('bo', 'token', 'create', 'mine', '--json'),
  ])
  assert.deepEqual([read.code, make.code, readAsAdmin.code, makeAsAdmin.code], [0, 1, 1, 0])
})

test('exit codes: used wrongly 2, unreachable 3, no valid credential 4', async () => {
  const at = { cwd: join(world.directory, 'secrets') }
  const [command, option, missing, unreachable, nowhere, token, help, config] = await Promise.all([
    cli('no-such-command'),
    cli('audit', 'search', '--no-such-option'),
    cli('audit', 'show'),
    runCli(['whoami', '--url', 'http://127.0.0.1:1', '--token', 'x'], at),
    runCli(['whoami'], at),
    runCli(['whoami', '--url', gateway.url, '--token', 'spt_nonsense'], at),
    cli('--help'),
    cli('serve', '--config', 'absent.yaml'),
  ])
  assert.deepEqual(
    [command, option, missing, unreachable, nowhere, token, help, config].map(each => each.code),
    [2, 2, 2, 3, 3, 4, 0, 2],
  )
  for (const { stdout, stderr } of [unreachable, nowhere, token, config]) {
    assert.equal(stdout, '')
    assert.match(stderr, /^sallyport: /)
    assert.doesNotMatch(stderr, /\n {4}at /, 'no stack for what a person can mend')
  }
})
