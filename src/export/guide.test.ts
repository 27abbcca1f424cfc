import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parse } from 'yaml'
import { sinksSection } from '../config/sinks.ts'

/** The first block of this language in the guide. */
async function block(language: string): Promise<string> {
  const guide = await readFile(new URL('../../docs/guides/export.md', import.meta.url), 'utf8')
  const start = guide.indexOf(`\`\`\`${language}\n`) + language.length + 4
  return guide.slice(start, guide.indexOf('```', start))
}

test('the guide shows an event as it is sent', async () => {
  const golden = JSON.parse(
    await readFile(new URL('./datadog/event.golden.json', import.meta.url), 'utf8'),
  ) as Record<string, unknown>
  assert.deepEqual(JSON.parse(await block('json')), golden['completed, after an approval'])
})

test("the guide's configuration is a valid one", async () => {
  const { sinks } = parse(await block('yaml')) as { sinks: unknown }
  assert.deepEqual(
    sinksSection.parse(sinks).map(({ name, type }) => [name, type]),
    [
      ['datadog', 'datadog'],
      ['archive', 'file'],
    ],
  )
})

test('every list of sinks in the guide is a valid one', async () => {
  const guide = await readFile(new URL('../../docs/guides/export.md', import.meta.url), 'utf8')
  const blocks = [...guide.matchAll(/```yaml\n(sinks:[\s\S]*?)```/g)]
  assert.ok(blocks.length >= 3)
  const types = blocks.flatMap(([, text]) =>
    sinksSection.parse((parse(text!) as { sinks: unknown }).sinks).map(({ type }) => type),
  )
  for (const type of ['datadog-events', 'otlp', 'splunk', 'elasticsearch', 'syslog', 's3'] as const)
    assert.ok(types.includes(type), type)
})

const mistakes: [string, object][] = [
  ['a plain key', { api_key: '0123456789abcdef0123456789abcdef' }],
  ['a key over plain HTTP', { intake_url: 'http://intake.example.com/api/v2/logs' }],
  ['an address that is none', { intake_url: 'intake' }],
  ['a kind that is none', { filter: { kinds: ['action.done'] } }],
  ['a family that is none', { filter: { except: ['nothing.*'] } }],
  ['more events than the intake takes', { batch: { max_events: 1001 } }],
  ['more bytes than the intake takes', { batch: { max_bytes: '5MB' } }],
  ['an option that is none', { apikey: 'x' }],
  ['a name that can not be a key', { name: 'Data Dog' }],
]
for (const [name, mistake] of mistakes) {
  test(`configuration: ${name} is refused`, () => {
    const sink = { name: 'dd', type: 'datadog', api_key: '${env:DD_API_KEY}', ...mistake }
    assert.equal(sinksSection.safeParse([sink]).success, false)
  })
}

test('configuration: two sinks can not share a name, since they would share a cursor', () => {
  const sink = { name: 'out', type: 'stdout' }
  assert.equal(sinksSection.safeParse([sink, sink]).success, false)
})
