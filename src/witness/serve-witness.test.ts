import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { StorageLockedError } from '../storage/storage.ts'
import { serveWitness, type ServeWitnessOptions } from './serve-witness.ts'
import { formatSubmission, maxSubmissionBytes } from './submission.ts'
import { SampleLog } from './testing/sample-log.ts'
import { hashOrigin } from './witness.ts'

async function optionsFor(t: TestContext, log: SampleLog): Promise<ServeWitnessOptions> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-witness-'))
  t.after(() => rm(directory, { recursive: true }))
  return { name: 'w.example.com', logs: [log.signer.vkey], directory, host: '127.0.0.1', port: 0 }
}

test('P3: over HTTP: logs submit, monitors read, and a restart remembers', async t => {
  const log = new SampleLog('log.example.com', 20)
  const options = await optionsFor(t, log)
  const first = await serveWitness(options)
  assert.equal(first.created, true)
  assert.equal((await stat(join(options.directory, 'witness.key'))).mode & 0o777, 0o600)
  const post = async (url: string, [old, size]: readonly [number, number]) =>
    await fetch(`${url}/add-checkpoint`, {
      method: 'POST',
      body: formatSubmission(old, await log.proof(old, size), await log.note(size)),
    })
  const monitor = `/${hashOrigin('log.example.com')}/checkpoint`
  assert.equal((await fetch(first.url + monitor)).status, 404)
  const line = await (await post(first.url, [0, 9])).text()
  assert.match(line, /^\u2014 w\.example\.com \S+\n$/)
  await first.close()

  const again = await serveWitness(options)
  t.after(() => again.close())
  assert.deepEqual([again.created, again.vkey], [false, first.vkey])
  assert.equal(await (await fetch(`${again.url}/vkey`)).text(), `${again.vkey}\n`)
  assert.equal(await (await fetch(again.url + monitor)).text(), (await log.note(9)) + line)
  const conflict = await post(again.url, [0, 12])
  assert.deepEqual(
    [conflict.status, conflict.headers.get('content-type'), await conflict.text()],
    [409, 'text/x.tlog.size', '9\n'],
  )
  assert.equal((await post(again.url, [9, 12])).status, 200)
  const large = await fetch(`${again.url}/add-checkpoint`, {
    method: 'POST',
    body: 'x'.repeat(maxSubmissionBytes + 1),
  })
  assert.equal(large.status, 413)
  assert.equal((await fetch(`${again.url}/add-checkpoint`)).status, 405)
  assert.equal((await fetch(again.url, { method: 'DELETE' })).status, 405)
  for (const path of ['/', '/witness.key', '/../witness.key', `/${'0'.repeat(64)}/checkpoint`])
    assert.equal((await fetch(again.url + path)).status, 404, path)
})

test('P3: two at once on one state, or none to witness, is refused', async t => {
  const options = await optionsFor(t, new SampleLog('log.example.com', 1))
  const witness = await serveWitness(options)
  t.after(() => witness.close())
  await assert.rejects(serveWitness(options), StorageLockedError)
  await assert.rejects(serveWitness({ ...options, logs: [] }), TypeError)
  await assert.rejects(serveWitness({ ...options, logs: [witness.vkey] }), TypeError)
})
