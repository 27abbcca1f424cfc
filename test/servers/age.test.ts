/**
 * Recordings opened by age's own tool (Debian package `age`), which shares nothing with ours. Skips loudly where it is
 * not there, except in CI.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { decodeFrames } from '../../src/recording/frames.ts'
import { runCli } from '../support/cli.ts'
import { openGateway } from '../support/gateway.ts'
import { createWorld } from '../support/world.ts'
import { startUpstream } from '../support/upstream.ts'

const run = promisify(execFile)

async function hasAge(t: TestContext): Promise<boolean> {
  try {
    await run('age', ['--version'])
    return true
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    t.skip('SKIPPED: age is not here. That its own tool opens our recordings was NOT tested')
    return false
  }
}

test("P3, P12: age's own tool opens what a gateway recorded that can not read it itself", async t => {
  if (!(await hasAge(t))) return
  const large = Array.from({ length: 60_000 }, (_, i) => `line ${i} of a long answer`).join('\n')
  await using upstream = await startUpstream((request, response) => {
    request.resume()
    response.setHeader('content-type', 'text/plain')
    response.end(request.url === '/large' ? large : 'a short answer')
  })
  await using world = await createWorld()
  const identity = join(world.directory, 'auditor.agekey')
  await run('age-keygen', ['-o', identity])
  const { stdout } = await run('age-keygen', ['-y', identity])
  await world.configure({
    recording: { recipients: [stdout.trim()] },
    connections: [{ name: 'things', protocol: 'http', url: upstream.url }],
    policy: { rules: [{ name: 'all', effect: 'allow', record: 'full' }] },
    sinks: [],
  })
  await using gateway = await openGateway(world)
  const headers = { authorization: `Bearer ${await world.token('batch-agent')}` }
  for (const path of ['/small', '/large']) {
    const answer = await fetch(`${gateway.url}/c/things${path}`, { headers })
    assert.equal(answer.status, 200)
    await answer.arrayBuffer()
  }
  const ended = await gateway.waitForEntries(2, each => each.kind === 'action.completed')
  const { storage } = gateway.running.services
  await storage.index.whenIndexed(storage.log.size)
  assert.ok(ended[1]!.recording!.length > 1_000_000)
  for (const [i, text] of ['a short answer', large].entries()) {
    const entry = ended[i]!
    const address = `/sessions/${entry.session}/recordings/${entry.seq}.age`
    const file = join(world.directory, `${entry.seq}.age`)
    const answer = await fetch(`${gateway.url}/api/v1${address}`, {
      headers: { authorization: `Bearer ${await world.token('cam')}` },
    })
    assert.equal(answer.status, 200)
    await writeFile(file, Buffer.from(await answer.arrayBuffer()))
    const opened = join(world.directory, 'opened')
    await run('age', ['-d', '-i', identity, '-o', opened, file])
    const frames = decodeFrames(await readFile(opened))
    const body = frames.filter(each => each.from === 'upstream' && each.part === 'body')
    assert.equal(Buffer.concat(body.map(each => each.bytes)).toString(), text)
  }
  // The gateway itself can not show it; the command can, with the key that the auditor has.
  const session = ended[0]!.session!
  const replayed = await gateway.api.ask(`/sessions/${session}/replay`)
  assert.match(replayed.text, /holds no key that opens recordings/)
  assert.doesNotMatch(replayed.text, /a short answer/)
  const shown = await runCli(['sessions', 'replay', session, '--identity', identity, '--json'], {
    cwd: world.directory,
  })
  assert.equal(shown.code, 0, shown.stderr)
  assert.match(shown.stdout, /a short answer/)
  assert.match(shown.stdout, /line 59999 of a long answer/)
  const readings = (await gateway.entries()).filter(each => each.kind === 'recording.read')
  assert.ok(readings.length >= 4, 'each reading is an entry')
  const missing = await gateway.api.ask(`/sessions/s_other/recordings/${ended[0]!.seq}.age`)
  assert.equal(missing.status, 404)
})
