/** A process is killed while it appends, and the store is opened again: SALLYPORT_LONG=1 does so 200 times. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { blobOf } from '../contract.ts'
import { StorageLockedError } from '../storage.ts'
import { openEmbeddedStorage } from './storage.ts'

const kills = process.env['SALLYPORT_LONG'] === '1' ? 200 : 15
const config = { segment_bytes: 256 * 1024, reserve_bytes: 64 * 1024 }
const script = join(import.meta.dirname, 'testing', 'append-until-killed.ts')

/** Starts the process, kills it some way into its appends, and gives what it said. */
async function appendAndKill(directory: string, afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (!said.includes('try') && (said + text).includes('try'))
      setTimeout(() => child.kill('SIGKILL'), afterMs)
    said += text
  })
  const [code, signal] = await new Promise<[number | null, string | null]>(resolve =>
    child.on('close', (...ended) => resolve(ended)),
  )
  assert.equal(signal, 'SIGKILL', `the process ended by itself with ${code}`)
  return said.split('\n').slice(0, -1)
}

function reach(lines: readonly string[], word: string): number {
  const line = lines.findLast(each => each.startsWith(`${word} `))
  if (line === undefined) return 0
  const [, start, count] = line.split(' ').map(Number)
  return start! + (count ?? 0)
}

test(`P1: killed ${kills} times: acknowledged is recovered, recovered was attempted`, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-crash-'))
  let size = 0
  try {
    for (let i = 1; i <= kills; i++) {
      const lines = await appendAndKill(directory, Math.random() * 60)
      assert.equal(reach(lines, 'open'), size, 'the process opened on another size')
      const storage = await openEmbeddedStorage({ directory, config })
      const { log, state } = storage
      try {
        assert.ok(log.size >= Math.max(size, reach(lines, 'ok')), `kill ${i}: an acknowledged entry is lost`)
        assert.ok(log.size <= Math.max(size, reach(lines, 'try')), `kill ${i}: an entry was made up`)
        for (let at = size; at < log.size; ) {
          for (const entry of await log.read(at, 1000)) {
            assert.equal(entry.toString(), `${at} ${'x'.repeat(at % 700)}`)
            at++
          }
        }
        const acknowledged = lines
          .filter(each => each.startsWith('ok '))
          .map(each => Number(each.split(' ')[1]))
        for (const start of acknowledged.filter((_, turn) => turn % 5 === 0).slice(-3)) {
          const blob = blobOf(Buffer.from(`blob of ${start} ${'y'.repeat(3000)}`))
          assert.deepEqual(await log.readBlob(blob.hash), blob.bytes)
        }
        assert.equal((await state.get<number>('test', 'starts'))?.value, i)
        size = log.size
      } finally {
        await storage.close()
      }
    }
    assert.ok(size > 0)
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('a directory has one writer; a second one is told which, and a killed one leaves no lock', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-lock-'))
  try {
    const first = await openEmbeddedStorage({ directory, config })
    await assert.rejects(openEmbeddedStorage({ directory, config }), (error: unknown) => {
      assert.ok(error instanceof StorageLockedError)
      assert.match(error.message, new RegExp(`in use by process ${process.pid}$`))
      return true
    })
    await first.log.append({ start: 0, entries: [Buffer.from('still works')], blobs: [] })
    await first.close()
    await appendAndKill(directory, 5)
    await (await openEmbeddedStorage({ directory, config })).close()
  } finally {
    await rm(directory, { recursive: true })
  }
})
