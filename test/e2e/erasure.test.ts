/** Recordings are erased from a running gateway: nothing that is kept gives the plaintext, and every proof holds. */
import assert from 'node:assert/strict'
import { cp, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Entry } from '../../src/audit/events.ts'
import { verify } from '../../src/audit/verify.ts'
import type { Subject } from '../../src/model/subject.ts'
import { openHeader } from '../../src/recording/age.ts'
import { runCli } from '../support/cli.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, type World } from '../support/world.ts'

const planted = 'Planted 7f3c1e heart of the matter'
let world: World
let gateway: TestGateway

before(async () => {
  world = await createWorld()
  for (const monitor of world.datadog.state.monitors.values()) Object.assign(monitor, { name: planted })
  gateway = await openGateway(world)
})

after(async () => {
  await gateway.close()
  await world.close()
})

/** The agent reads the monitors; gives the session that it had. */
async function act(): Promise<string> {
  const ended = (each: Entry): boolean => each.kind === 'action.completed'
  const count = (await gateway.entries()).filter(ended).length
  const answer = await fetch(`${gateway.url}/c/datadog/api/v1/monitor`, {
    headers: { authorization: `Bearer ${await world.token('triage-agent')}` },
  })
  assert.equal(answer.status, 200)
  assert.ok((await answer.text()).includes(planted))
  return (await gateway.waitForEntries(count + 1, ended)).at(-1)!.session!
}

async function replay(session: string): Promise<string> {
  const { index, log } = gateway.running.services.storage
  await index.whenIndexed(log.size)
  return (await gateway.api.ask(`/sessions/${session}/replay`)).text
}

const erase = (of: unknown, more: object = {}) =>
  gateway.api.ask('/erasures', 'POST', { of, basis: 'Art. 17(1)(b) GDPR, case 12', ...more })

function personOf(id: string): Subject {
  return { issuer: 'i', id, kind: 'user', groups: [], method: 'oidc', claims: {} }
}

/** Every file of the store, but for the key that this gateway may read recordings with. */
async function filesOf(directory: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for (const each of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(each.parentPath, each.name)
    if (!each.isFile() || each.name === 'recording.agekey') continue
    const bytes = await readFile(path).catch(unlessGone)
    if (bytes !== undefined) files.set(path, bytes)
  }
  return files
}

/** The gateway goes on meanwhile: a tile is renamed into its place, and a partial one goes when it is full. */
function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** A copy of the whole store, as a backup would take it from a running gateway. */
async function copyOf(directory: string, to: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      await cp(directory, to, { recursive: true, filter: path => !path.endsWith('.sock') })
      return to
    } catch (error) {
      unlessGone(error as NodeJS.ErrnoException)
      assert.ok(attempt < 20, 'the store never stood still long enough to be copied')
    }
  }
}

async function assertNowhere(directory: string, needles: readonly Buffer[]): Promise<void> {
  for (const [path, bytes] of await filesOf(directory))
    for (const [i, needle] of needles.entries())
      assert.ok(!bytes.includes(needle), `${path} holds needle ${i}`)
}

test('P3, P10: after an erasure no file of the store gives the plaintext, and the log verifies', async () => {
  const session = await act()
  assert.ok((await replay(session)).includes(planted))
  const { storage } = gateway.running.services
  const kept = await storage.state.get<{ header: string }>('recording-key', session)
  const header = Buffer.from(kept!.value.header, 'base64')
  const agekey = await readFile(join(world.data, 'keys', 'recording.agekey'), 'utf8')
  const identity = agekey.split('\n').find(line => line.startsWith('AGE-SECRET-KEY-'))!
  const fileKey = openHeader(header, identity)
  const wrapped = header.toString().split('\n')[2]!

  const plan = await erase({ person: 'ANA@example.com' }, { dry_run: true })
  assert.deepEqual((plan.json as { sessions: string[] }).sessions, [session])
  const done = await erase({ person: 'ana@example.com' })
  assert.equal(done.status, 200, done.text)
  assert.equal((done.json as { keys: number }).keys, 1)

  assert.match(await replay(session), /the recording was erased on/)
  assert.ok(!(await replay(session)).includes(planted))
  const copy = await copyOf(world.data, join(world.directory, 'dump'))
  const base64 = Buffer.from(kept!.value.header.slice(60, 120))
  for (const directory of [world.data, copy]) {
    const needles = [
      Buffer.from(planted),
      fileKey,
      Buffer.from(fileKey.toString('hex')),
      Buffer.from(wrapped),
      base64,
    ]
    await assertNowhere(directory, needles)
  }

  const entry = (await gateway.entries()).find(each => each.kind === 'erasure.done')!
  const { erasure } = entry as unknown as { erasure: Record<string, unknown> }
  assert.doesNotMatch(JSON.stringify(erasure), /ana|@/i)
  assert.deepEqual(erasure['sessions'], [session])
  assert.deepEqual(erasure['counts'], { sessions: 1, keys: 1 })
  assert.match(JSON.stringify(erasure['of']), /hmac-sha256:[0-9a-f]{64}/)

  // A session that was erased is over: the same agent goes on in another one.
  const next = await act()
  assert.notEqual(next, session)
  assert.ok((await replay(next)).includes(planted))
})

test('a legal hold stands against an erasure until two people end it', async () => {
  const session = await act()
  const { retention } = gateway.running.services
  const placed = await gateway.api.ask('/holds', 'POST', {
    on: { connection: 'datadog' },
    reason: 'Case 4711',
  })
  assert.equal(placed.status, 201, placed.text)
  const { id } = placed.json as { id: string }
  for (const target of [{ session }, { person: 'ana@example.com' }]) {
    const refused = await erase(target)
    assert.equal(refused.status, 409)
    assert.match(refused.text, new RegExp(id))
  }
  assert.equal((await erase({ session }, { except_protected: true })).status, 409)
  assert.ok((await replay(session)).includes(planted))

  // This machine's own user is no person that can be told from another.
  assert.equal((await gateway.api.ask(`/holds/${id}/release`, 'POST', { reason: 'over' })).status, 403)
  await retention.release(id, personOf('ana'), 'The case is closed')
  await assert.rejects(retention.release(id, personOf('ana'), 'The case is closed'), /two different people/)
  assert.equal((await erase({ session })).status, 409)
  await retention.release(id, personOf('bo'), 'The case is closed')
  assert.equal((await erase({ session })).status, 200)

  const kinds = (await gateway.entries()).map(each => each.kind).filter(kind => kind.startsWith('hold.'))
  assert.deepEqual(kinds, ['hold.placed', 'hold.release_requested', 'hold.released'])
  assert.equal((await erase({ session: 's_none' })).status, 404)
})

test('the commands say what there is and change nothing unasked', async () => {
  const session = await act()
  const cli = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCli(args, { cwd: world.directory })
    assert.equal(code, 0, stderr)
    return stdout + stderr
  }
  const id = (await cli('hold', 'place', '--session', session, '--reason', 'Case 5')).split('\n')[0]!
  assert.match(await cli('hold', 'list'), new RegExp(`${id} +holds +session ${session}`))
  const planned = await cli('erasure', '--person', 'ana@example.com', '--basis', 'Art. 17 GDPR')
  assert.match(planned, new RegExp(`${session} is under the legal hold ${id}`))
  assert.match(planned, /would be erased/)
  assert.ok((await replay(session)).includes(planted))
  assert.match(await cli('retention', 'status'), /entries +0 to \d+; kept for 400 d/)
  assert.match(await cli('retention', 'run'), /removed recordings of 0 sessions, and 0 entries/)
  const report = JSON.parse(
    await cli('compliance', 'report', '--json').then(text => text.split('\n')[0]!),
  ) as {
    rows: { control: string; state: string }[]
  }
  assert.equal(report.rows.find(each => each.control === '10.3.3')?.state, 'met')
  assert.match(await cli('compliance', 'report', '--framework', 'pci', '--state', 'unknown'), /10\.4/)
})

test('P3: erasures and holds outlive a restart, and the whole log is complete', async () => {
  const [erased] = (await gateway.entries()).filter(each => each.kind === 'erasure.done')
  const [session] = (erased as unknown as { erasure: { sessions: string[] } }).erasure.sessions
  await gateway.api.ask('/holds', 'POST', { on: { person: 'ana@example.com' }, reason: 'Case 4712' })
  await gateway.close()
  gateway = await openGateway(world)
  assert.match(await replay(session!), /the recording was erased on/)
  const holds = gateway.running.services.retention.holds
  assert.deepEqual(
    holds.map(each => each.releases.length),
    [2, 0, 0],
  )
  assert.equal((await erase({ session: await act() })).status, 409)
  await gateway.close()
  const report = await verify({
    directory: join(world.data, 'log'),
    vkeys: [join(world.data, 'log', 'log.vkey')],
    complete: true,
  })
  assert.deepEqual(report.findings, [])
  assert.equal(report.exit, 0)
})
