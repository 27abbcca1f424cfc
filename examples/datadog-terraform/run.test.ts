/** The Terraform of this folder holds what install sends. Terraform itself was run by hand: the README says with what. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { Json } from '../../src/export/datadog/setup/definition.ts'
import { file, generated, wanted } from './generate.ts'
import { bodyOf, terraformOf } from './terraform.ts'

/** Blocks and arguments by the provider's documentation, as far as they are used. */
const known: Readonly<Record<string, readonly string[]>> = {
  datadog_dashboard_json: ['dashboard'],
  datadog_monitor_json: ['monitor'],
  datadog_security_monitoring_rule_json: ['json'],
  datadog_logs_metric: ['name', 'compute', 'filter', 'group_by'],
  datadog_logs_index: ['name', 'filter', 'retention_days', 'flex_retention_days', 'daily_limit', 'tags'],
  datadog_logs_index_order: ['indexes'],
  datadog_logs_archive: ['name', 'query', 'include_tags', 'rehydration_tags', 's3_archive'],
  datadog_logs_custom_pipeline: ['name', 'description', 'tags', 'is_enabled', 'filter', 'processor'],
}

test('the file is as the definitions make it (script/node examples/datadog-terraform/generate.ts writes it)', async () => {
  assert.equal(await readFile(file, 'utf8'), await generated())
})

test('read back, it is every body that install sends, and nothing else', async () => {
  const definitions = await wanted()
  const { resource } = JSON.parse(await readFile(file, 'utf8')) as ReturnType<typeof terraformOf>
  const { datadog_logs_index_order: order, ...rest } = resource
  const bodies = Object.entries(rest).flatMap(([type, named]) =>
    Object.values(named).map(each => bodyOf(type, each)),
  )
  const text = (body: Json) => JSON.stringify(sorted(body))
  assert.deepEqual(bodies.map(text).toSorted(), definitions.map(({ body }) => text(body)).toSorted())
  assert.equal((order!['order']!['indexes'] as string[])[0], '${datadog_logs_index.sallyport.id}')
})

test('only arguments that the provider documents are used', async () => {
  const { resource } = terraformOf(await wanted())
  for (const [type, named] of Object.entries(resource)) {
    for (const body of Object.values(named)) {
      const unknown = Object.keys(body).filter(name => !known[type]!.includes(name))
      assert.deepEqual(unknown, [], type)
    }
  }
})

test('a schema processor has one block of mappers, since the provider drops all further ones', async () => {
  const text = await readFile(file, 'utf8')
  const blocks = [...text.matchAll(/"mappers":/g)].length
  const single = JSON.parse(text, (name, value: unknown) =>
    name === 'mappers' ? (value as unknown[]).length : value,
  ) as unknown
  assert.equal([...JSON.stringify(single).matchAll(/"mappers":1[,}]/g)].length, blocks)
  assert.ok(blocks > 0)
})

test('what Terraform would take as its own template is escaped', () => {
  const body = { name: 'x', type: 'log alert', message: '${var.key} and %{if}' }
  const { resource } = terraformOf([{ kind: 'monitor', id: 'odd', body }])
  const written = resource['datadog_monitor_json']!['odd']!
  assert.match(String(written['monitor']), /\$\$\{var\.key\} and %%\{if\}/)
  assert.deepEqual(bodyOf('datadog_monitor_json', written), body)
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([name, each]) => [name, sorted(each)]))
}
