/** What the columns count is what walking the entries counts, whatever is asked, also after entries were removed. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { entryOf } from '../contract.ts'
import { MemoryIndex } from '../memory/memory-index.ts'
import { countFields, type CountQuery } from '../storage.ts'
import { blockEntries } from './columns.ts'
import { openEmbeddedStorage } from './storage.ts'

const start = 1_700_000_000_000
const entries = 2 * blockEntries + 500
const kinds = ['action.intended', 'action.completed', 'approval.requested', 'approval.granted', 'heartbeat']

function fieldsOf(i: number): Record<string, unknown> {
  const connection = i % 6
  const person = { issuer: 'i', id: `p${i % 7}`, email: `P${i % 7}@example.com` }
  return {
    kind: kinds[(i * 7) % kinds.length],
    ...(i % 11 === 0 ? {} : { subject: { issuer: 'i', id: `agent-${i % 13}`, on_behalf_of: person } }),
    ...(connection === 5 ? {} : { connection: { name: `c${connection}` } }),
    ...(i % 3 === 0 ? {} : { operation: `op.${i % 40}`, outcome: i % 5 === 0 ? 'denied' : 'success' }),
    session: `s${i % 100}`,
    note: i % 250 === 0 ? 'rare words' : 'common',
  }
}

const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined })
const queries: fc.Arbitrary<CountQuery> = fc
  .record({
    filter: fc.record({
      kinds: optional(fc.subarray(kinds, { minLength: 1 })),
      identity: optional(fc.constantFrom('agent-3', 'p2@example.com', 'nobody')),
      connection: optional(fc.constantFrom('c0', 'c3', '')),
      operation: optional(fc.constantFrom('op.1*', 'op.7', '*', '')),
      outcome: optional(fc.constantFrom('denied', 'success')),
      session: optional(fc.constantFrom('s42', 's7')),
      text: optional(fc.constantFrom('rare', 'common')),
      since: optional(fc.integer({ min: start - 1000, max: start + entries * 1000 })),
      until: optional(fc.integer({ min: start, max: start + entries * 1100 })),
    }),
    fields: fc.subarray([...countFields], { minLength: 1 }),
    top: fc.integer({ min: 1, max: 20 }),
    buckets: optional(
      fc.record({
        from: fc.integer({ min: start - 100_000, max: start + entries * 500 }),
        width: fc.integer({ min: 1000, max: 2_000_000 }),
        count: fc.integer({ min: 1, max: 60 }),
      }),
    ),
  })
  .map(({ filter, buckets, ...rest }) => ({
    ...rest,
    ...(buckets === undefined ? {} : { buckets }),
    filter: Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)),
  }))

test('counts are those of a walk over all entries, before and after a removal', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-count-'))
  const storage = await openEmbeddedStorage({
    directory,
    config: { segment_bytes: 512 * 1024, reserve_bytes: 64 * 1024 },
  })
  t.after(async () => {
    await storage.close()
    await rm(directory, { recursive: true })
  })
  const { log, index } = storage
  for (let at = 0; at < entries; at += 500) {
    const batch = Array.from({ length: Math.min(500, entries - at) }, (_, i) =>
      entryOf(at + i, fieldsOf(at + i)),
    )
    await log.append({ start: at, entries: batch, blobs: [] })
  }
  await index.whenIndexed(entries)
  const compare = async (runs: number): Promise<void> => {
    const walked = new MemoryIndex(log)
    await fc.assert(
      fc.asyncProperty(queries, async query => {
        assert.deepEqual(await index.count(query), await walked.count(query))
      }),
      { numRuns: runs },
    )
    for (const name of ['', 'AGENT-1', 'p3@'])
      assert.deepEqual(
        await index.identities({ name, limit: 5 }),
        await walked.identities({ name, limit: 5 }),
        name,
      )
  }
  await compare(60)
  const below = log.prunableTo(blockEntries + 1000)
  assert.ok(below > blockEntries, 'a block is cut in two')
  await index.prune(below)
  await log.prune(below)
  await compare(30)
})
