import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parse } from 'yaml'
import { recordingSection } from '../config/recording.ts'
import { retentionSection } from '../config/retention.ts'

test("the guide's configuration is a valid one", async () => {
  const guide = await readFile(new URL('../../docs/guides/evidence.md', import.meta.url), 'utf8')
  const [retention, recording] = [...guide.matchAll(/```yaml\n(.*?)```/gs)].map(
    ([, text]) => parse(text!) as object,
  )
  const { recordings, entries } = retentionSection.parse((retention as { retention: unknown }).retention)
  assert.deepEqual(
    recordings.map(each => each.keep / 86_400_000),
    [90, 180],
  )
  assert.equal(entries.keep / 86_400_000, 400)
  assert.ok(recordingSection.parse((recording as { recording: unknown }).recording).recipients)
})
