import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { guideWith } from './guide.ts'
import { tellIncident } from './story.ts'

test('the incident is undone, and the guide shows what the commands print', async () => {
  const { printed, isUndone } = await tellIncident()
  assert.ok(isUndone)
  const guide = await readFile(join(import.meta.dirname, '../../docs/guides/incident.md'), 'utf8')
  assert.equal(await guideWith(printed), guide, 'write it anew: script/node examples/incident/write-guide.ts')
})
