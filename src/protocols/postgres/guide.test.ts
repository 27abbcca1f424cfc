/** The guide's configuration is valid, and its rules decide as it says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseConfig } from '../../config/load.ts'
import { postgresProtocol } from './index.ts'
import { postgresSettings } from './settings.ts'

const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/postgres.md'), 'utf8')

test('the configuration of the guide is valid', () => {
  const yaml = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text!)
  const [connection, ...policies] = yaml
  const counts = policies.map(policy => {
    const { connections, config } = parseConfig(`${connection}\n${policy}`, 'guide.yaml', [postgresProtocol])
    assert.equal(connections[0]?.protocol, 'postgres')
    return config.policy.rules?.length
  })
  assert.deepEqual(counts, [2, 5])
})

test('defaults are the safe ones', () => {
  const { tls, port, limits } = postgresSettings.parse({ host: 'db.example.com', database: 'x' })
  assert.deepEqual([tls.mode, port, limits.message], ['verify-full', 5432, 16 * 1024 * 1024])
  assert.ok(!postgresSettings.safeParse({ host: 'db.example.com', database: 'x', pasword: 'y' }).success)
})
