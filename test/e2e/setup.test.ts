/** `script/setup` in a checkout of its own, with an npm that only says that it was called. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '..', '..')

test('setup installs once, and again when the lock file or a folder of packages is not what it was', async t => {
  const at = await mkdtemp(join(tmpdir(), 'setup-'))
  t.after(() => rm(at, { recursive: true }))
  for (const each of ['script', 'bin', 'node_modules']) await mkdir(join(at, each))
  await copyFile(join(root, 'script', 'setup'), join(at, 'script', 'setup'))
  await writeFile(join(at, 'script', 'console'), '#!/bin/sh\n', { mode: 0o755 })
  const npm = '#!/bin/sh\necho install >>calls\nmkdir -p node_modules console/node_modules/typescript\n'
  await writeFile(join(at, 'bin', 'npm'), npm, { mode: 0o755 })
  const lock = { packages: { 'console/node_modules/typescript': { version: '1.0.0' } } }
  await writeFile(join(at, 'package-lock.json'), `${JSON.stringify(lock, null, 2)}\n`)

  const calls = async (): Promise<number> => {
    const env = { PATH: `${join(at, 'bin')}:${process.env['PATH']}` }
    await promisify(execFile)(join(at, 'script', 'setup'), { env })
    return (await readFile(join(at, 'calls'), 'utf8')).split('\n').length - 1
  }
  assert.equal(await calls(), 1, 'nothing is there')
  assert.equal(await calls(), 1, 'everything is there')
  await rm(join(at, 'console', 'node_modules'), { recursive: true })
  assert.equal(await calls(), 2, "the console's packages are gone")
  assert.equal(await calls(), 2)
  await appendFile(join(at, 'package-lock.json'), '\n')
  assert.equal(await calls(), 3, 'another lock file')
  await rm(join(at, 'node_modules'), { recursive: true })
  assert.equal(await calls(), 4, 'the packages are gone')
})
