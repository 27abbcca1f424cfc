import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type PracticeIntake, startPracticeIntake } from './intake.ts'

let intake: PracticeIntake | undefined
afterEach(() => intake?.close())

async function start(now?: () => number): Promise<PracticeIntake> {
  intake = await startPracticeIntake(now === undefined ? {} : { now })
  return intake
}

function send(to: PracticeIntake, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${to.url}/api/v2/logs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'dd-api-key': to.apiKey, ...headers },
    body: body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body),
  })
}

test('stores what arrives, plain, gzip and zstd, with its tags', async () => {
  const it = await start()
  const first = await send(it, [{ message: 'a', ddtags: 'env:prod,team:x' }, { message: 'b' }])
  assert.deepEqual([first.status, await first.json()], [202, {}])
  const packed = gzipSync(JSON.stringify([{ message: 'c' }]))
  assert.equal((await send(it, packed, { 'content-encoding': 'gzip' })).status, 202)
  const small = zstdCompressSync(JSON.stringify({ message: 'd' }))
  assert.equal((await send(it, small, { 'content-encoding': 'zstd' })).status, 202)
  assert.deepEqual(
    (await it.waitFor(4)).map(log => log.record['message']),
    ['a', 'b', 'c', 'd'],
  )
  assert.deepEqual(it.logs[0]?.tags, ['env:prod', 'team:x'])
})

test('a missing key is 401, a wrong one 403, and nothing is stored', async () => {
  const it = await start()
  const bare = await fetch(`${it.url}/api/v2/logs`, { method: 'POST', body: '[]' })
  assert.equal(bare.status, 401)
  assert.equal((await send(it, [{ message: 'a' }], { 'dd-api-key': 'f'.repeat(32) })).status, 403)
  assert.equal(it.logs.length, 0)
})

test('the limits: 5 MB also when packed, 1000 logs, broken JSON, broken gzip', async () => {
  const it = await start()
  const big = [{ message: 'x'.repeat(5_000_000) }]
  assert.equal((await send(it, big)).status, 413)
  const bomb = gzipSync(JSON.stringify(big))
  assert.equal((await send(it, bomb, { 'content-encoding': 'gzip' })).status, 413)
  assert.equal(
    (
      await send(
        it,
        Array.from({ length: 1001 }, () => ({ message: 'x' })),
      )
    ).status,
    413,
  )
  assert.equal(
    (
      await send(
        it,
        Array.from({ length: 1000 }, () => ({ message: 'x' })),
      )
    ).status,
    202,
  )
  assert.equal((await send(it, Buffer.from('[{'))).status, 400)
  assert.equal((await send(it, Buffer.from('no'), { 'content-encoding': 'gzip' })).status, 400)
})

test('a log over 1 MB is accepted and cut; one over 18 hours old is accepted and dropped', async () => {
  const it = await start(() => 100 * 3_600_000)
  const sent = [{ message: 'y'.repeat(1_100_000) }, { message: 'old', timestamp: 81 * 3_600_000 }]
  assert.equal((await send(it, sent)).status, 202)
  assert.equal(it.logs.length, 1)
  assert.equal(it.logs[0]?.truncated, true)
  assert.ok(JSON.stringify(it.logs[0]?.record).length <= 1_000_000)
  assert.deepEqual(it.dropped[0]?.record['message'], 'old')
})

test('the faults: down, status with rate headers, poison, reset after accepting, and their count', async () => {
  const it = await start()
  it.fail({ kind: 'down' }, 1)
  await assert.rejects(send(it, [{ message: 'a' }]))
  it.fail({ kind: 'status', status: 429 }, 1)
  const limited = await send(it, [{ message: 'a' }])
  assert.deepEqual([limited.status, limited.headers.get('x-ratelimit-reset')], [429, '1'])
  it.fail({ kind: 'poison', is: record => record['message'] === 'bad' })
  assert.equal((await send(it, [{ message: 'a' }, { message: 'bad' }])).status, 400)
  assert.equal((await send(it, [{ message: 'a' }])).status, 202)
  it.fail({ kind: 'reset-after-accept' }, 1)
  await assert.rejects(send(it, [{ message: 'twice' }]).then(answer => answer.text()))
  assert.equal((await send(it, [{ message: 'twice' }])).status, 202)
  assert.deepEqual(
    it.logs.map(log => log.record['message']),
    ['a', 'twice', 'twice'],
  )
  assert.deepEqual(
    it.requests.map(request => request.status),
    [0, 429, 400, 202, 0, 202],
  )
})

test('slow answers as usual, and closing does not wait for it', async () => {
  const it = await start()
  it.fail({ kind: 'slow', ms: 1 }, 1)
  assert.equal((await send(it, [{ message: 'a' }])).status, 202)
  it.fail({ kind: 'slow', ms: 3_600_000 })
  const hanging = assert.rejects(send(it, [{ message: 'b' }]))
  await it.close()
  await hanging
})

test('v1 input takes plain lines and answers 200', async () => {
  const it = await start()
  const answer = await fetch(`${it.url}/v1/input?api_key=${it.apiKey}&ddtags=a:b`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: 'one\ntwo\n',
  })
  assert.equal(answer.status, 200)
  assert.deepEqual(
    it.logs.map(log => [log.record['message'], log.tags]),
    [
      ['one', ['a:b']],
      ['two', ['a:b']],
    ],
  )
})
