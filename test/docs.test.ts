/** What the documents say holds: links lead somewhere, configurations are valid, commands exist. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parseConfig } from '../src/config/load.ts'
import { protocols } from '../src/main.ts'
import { root, sources } from './sources.ts'

const run = promisify(execFile)
const documents = sources('*.md', 'docs/**/*.md', 'src/**/README.md', 'examples/**/*.md')

test('every relative link leads to a file', () => {
  assert.ok(documents.length > 5)
  const broken = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)]
      .filter(([, target]) => !existsSync(join(root, dirname(path), target!)))
      .map(([, target]) => `${path} -> ${target}`),
  )
  assert.deepEqual(broken, [])
})

test('every whole configuration in the documents is valid', () => {
  const whole = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/```yaml\n(# sallyport\.yaml[\s\S]*?)```/g)].map(([, yaml]) => ({ path, yaml: yaml! })),
  )
  assert.ok(whole.length > 0)
  for (const { path, yaml } of whole) {
    assert.doesNotThrow(() => parseConfig(yaml, join(root, path), protocols), `in ${path}`)
  }
})

test('every command in the documents exists', async () => {
  const words = new Set(
    documents.flatMap(({ text }) =>
      [...text.matchAll(/(?:script\/|^|[`$ ])sallyport ((?:[a-z][a-z-]+ ?){1,2})/gm)].map(([, words]) =>
        words!.trim(),
      ),
    ),
  )
  const { stdout: top } = await run(join(root, 'script/sallyport'), ['--help'])
  const commands = new Set([...top.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name!))
  const unknown = [...words]
    .map(each => each.split(' ')[0]!)
    .filter(each => !commands.has(each) && !notCommands.has(each))
  assert.deepEqual([...new Set(unknown)], [])
})

/** Words that follow the name in prose. */
const notCommands = new Set([
  'does',
  'is',
  'and',
  'itself',
  'needs',
  'on',
  'speaks',
  'stands',
  'cannot',
  'can',
  'has',
  'to',
  'for',
  'as',
  'in',
  'root',
])
