/** Clients that come back for the answer (RFC 7240 `respond-async`), and what follows an approval by its address. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Approver, approver } from '../support/approver.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { createWorld, type World } from '../support/world.ts'

let world: World
let gateway: TestGateway
let token: string
let cam: Approver

before(async () => {
  world = await createWorld({
    config: {
      policy: {
        rules: [
          {
            name: 'writes',
            effect: 'require_approval',
            risks: ['write', 'delete'],
            approval: { approvers: ['group:security'] },
          },
        ],
      },
    },
  })
  const [datadog] = world.config.connections!
  await world.configure({ connections: [datadog!, { ...datadog!, name: 'other' }] })
  await start()
})

after(async () => {
  await gateway.close()
  await world.close()
})

async function start(): Promise<void> {
  gateway = await openGateway(world)
  token = await world.token('triage-agent')
  cam = approver(gateway.url, await world.token('cam'))
}

function create(name: string, prefer = 'respond-async'): Promise<Response> {
  return fetch(`${gateway.url}/c/datadog/api/v1/monitor?x=1`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', prefer },
    body: JSON.stringify({ name, type: 'query alert', query: 'avg(last_5m):avg:x{*} > 1' }),
  })
}

const locationOf = (answer: Response): string => gateway.url + answer.headers.get('location')!

function look(address: string, headers: Record<string, string> = {}, bearer = token): Promise<Response> {
  return fetch(address, { headers: { authorization: `Bearer ${bearer}`, ...headers } })
}

const made = (name: string): number =>
  [...world.datadog.state.monitors.values()].filter(each => each['name'] === name).length

interface Told {
  readonly code: string
  readonly reason?: string
  readonly approval: { readonly id: string; readonly state: string; readonly url: string }
}

const told = async (answer: Response): Promise<Told> => (await answer.json()) as Told

test('202, an address that waits, the answer once, and then 410', async () => {
  const accepted = await create('Followed')
  assert.equal(accepted.status, 202)
  assert.deepEqual(
    ['preference-applied', 'retry-after', 'content-type', 'cache-control'].map(name =>
      accepted.headers.get(name),
    ),
    ['respond-async', '5', 'application/json', 'no-store'],
  )
  const { approval, code } = await told(accepted)
  const address = locationOf(accepted)
  assert.deepEqual([code, approval.state, approval.url], ['approval-pending', 'pending', address])
  assert.equal(address, `${gateway.url}/c/datadog/.sallyport/approvals/${approval.id}`)
  assert.equal((await look(address)).status, 202)
  assert.equal((await look(`${address}?wait=0`)).status, 202)

  const waiting = look(address, { prefer: 'wait=60' })
  await cam.approveNext(200)
  const answer = await waiting
  assert.equal(answer.status, 200)
  const monitor = (await answer.json()) as { id: number; name: string }
  assert.equal(monitor.name, 'Followed')
  assert.ok(world.datadog.state.monitors.has(monitor.id))
  const sent = world.datadog.requests.at(-1)!
  assert.deepEqual([sent.method, sent.target], ['POST', '/api/v1/monitor?x=1'])
  const entries = await gateway.entries()
  const done = entries.findLast(each => each.kind === 'action.completed')!
  assert.deepEqual(
    [done.operation, (done.approval as Told['approval']).id],
    ['v1.createMonitor', approval.id],
  )
  assert.equal(done.subject?.id, 'triage-agent')

  const again = await look(address)
  assert.equal(again.status, 410)
  assert.equal((await told(again)).reason, 'approval-used')
  assert.equal(made('Followed'), 1)
})

test('many who ask at once for one answer get it once', async () => {
  const address = locationOf(await create('Raced'))
  await cam.approveNext()
  const statuses = await Promise.all(Array.from({ length: 8 }, async () => (await look(address)).status))
  assert.deepEqual(
    statuses.toSorted((a, b) => a - b),
    [200, ...Array.from({ length: 7 }, () => 410)],
  )
  assert.equal(made('Raced'), 1)
})

test('P9: the address is of use to nobody else, and nothing under it is forwarded', async () => {
  const address = locationOf(await create('Private'))
  const before = world.datadog.requests.length
  const elsewhere = address.replace('/c/datadog/', '/c/other/')
  assert.equal((await look(address, {}, await world.token('batch-agent'))).status, 404)
  assert.equal((await look(address, {}, await world.token('cam'))).status, 404)
  assert.equal((await look(elsewhere)).status, 404)
  assert.equal((await fetch(address)).status, 401)
  for (const path of ['', '/', '/approvals', '/approvals/ap_none', '/approvals/../x', '/%61pprovals/ap_1'])
    assert.equal((await look(`${gateway.url}/c/datadog/%2esallyport${path}`)).status, 404, path)
  const posted = await fetch(address, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  assert.equal(posted.status, 405)
  await cam.approveNext()
  assert.equal((await look(address, {}, await world.token('batch-agent'))).status, 404)
  assert.equal(world.datadog.requests.length, before)
  assert.equal((await look(address)).status, 200)
})

test('a denial is told at the address, and asks nobody anew', async () => {
  const address = locationOf(await create('Unwanted'))
  const [open] = await cam.pending()
  await cam.vote(open!.id, 'deny')
  for (let i = 0; i < 2; i++) {
    const answer = await look(address)
    assert.equal(answer.status, 403)
    assert.equal((await told(answer)).reason, 'approval-denied')
  }
  assert.deepEqual(await cam.open(), [])
})

test('who was not promised an answer can wait there too, and then sends the request again', async () => {
  const refused = await create('Resent', 'wait=0')
  assert.equal(refused.status, 403)
  const { url } = (await told(refused)).approval
  const waiting = look(`${url}?wait=60`)
  await cam.approveNext(100)
  const answer = await waiting
  assert.equal(answer.status, 200)
  assert.equal((await told(answer)).approval.state, 'approved')
  assert.equal(made('Resent'), 0)
  assert.equal((await create('Resent', 'wait=0')).status, 200)
  assert.equal(made('Resent'), 1)
})

test('P2: what was kept runs after a restart', async () => {
  const accepted = await create('Kept over a restart 7f3c1e')
  const path = new URL(locationOf(accepted)).pathname
  await cam.approveNext()
  await gateway.close()
  await start()
  const answer = await look(gateway.url + path)
  assert.equal(answer.status, 200)
  assert.equal(made('Kept over a restart 7f3c1e'), 1)
  assert.equal((await look(gateway.url + path)).status, 410)
  // The answer may be a moment ahead of the removal of what was kept.
  const { state } = gateway.running.services.storage
  await until('nothing is kept', async () => (await state.list('deferred-call')).length === 0)
})

test('what was kept under a policy that changed since is asked about anew, at another address', async () => {
  const accepted = await create('Asked anew')
  const first = await told(accepted)
  const { policy } = world.config
  const [rule] = policy!.rules!
  await cam.approveNext()
  await world.configure({ policy: { ...policy, rules: [{ ...rule!, description: 'Another text' }] } })
  assert.equal(await gateway.running.reload(), true)
  const outdated = await look(locationOf(accepted))
  assert.equal(outdated.status, 202)
  const second = await told(outdated)
  assert.notEqual(second.approval.id, first.approval.id)
  assert.equal(made('Asked anew'), 0)
  assert.equal((await look(locationOf(accepted))).status, 403)
  await cam.approveNext()
  assert.equal((await look(locationOf(outdated))).status, 200)
  assert.equal(made('Asked anew'), 1)
})
