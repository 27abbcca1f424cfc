/** The suite that every backend passes: what `storage.ts` says in words. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Blob, EntryQuery, Storage } from './storage.ts'

/** An empty store, and what cleans up after it; the store is closed by then. */
export interface OpenedStorage {
  readonly storage: Storage
  readonly dispose: () => Promise<void>
}

export function blobOf(bytes: Buffer): Blob {
  return { hash: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes }
}

/** An entry as the log writes it, with the given fields. */
export function entryOf(seq: number, fields: Record<string, unknown> = {}): Buffer {
  const time = new Date(1_700_000_000_000 + seq * 1000).toISOString()
  return Buffer.from(JSON.stringify({ v: 1, kind: 'heartbeat', log: 'o', seq: String(seq), time, ...fields }))
}

export function storageContract(name: string, open: () => Promise<OpenedStorage>): void {
  const check = (title: string, run: (storage: Storage) => Promise<void>): void => {
    void test(title, async () => {
      const { storage, dispose } = await open()
      try {
        await run(storage)
      } finally {
        await storage.close()
        await dispose()
      }
    })
  }
  void describe(`storage: ${name}`, () => {
    void describe('log', () => logContract(check))
    void describe('blobs', () => blobContract(check))
    void describe('state', () => stateContract(check))
    void describe('index', () => indexContract(check))
    void describe('counts', () => countContract(check))
  })
}

type Check = (title: string, run: (storage: Storage) => Promise<void>) => void

function logContract(check: Check): void {
  check('gives back exactly what was appended, in order', async ({ log }) => {
    const all: Buffer[] = []
    for (const count of [1, 3, 100, 1, 37]) {
      const entries = Array.from({ length: count }, (_, i) =>
        Buffer.from(`${all.length + i} ü\0${'x'.repeat(i)}`),
      )
      await log.append({ start: all.length, entries, blobs: [] })
      all.push(...entries)
      assert.equal(log.size, all.length)
    }
    assert.deepEqual(await log.read(0, 1000), all)
    for (const [start, limit] of [
      [0, 1],
      [1, 3],
      [4, 99],
      [103, 2],
      [141, 5],
    ] as const) {
      assert.deepEqual(await log.read(start, limit), all.slice(start, start + limit))
    }
    assert.deepEqual(await log.read(all.length, 10), [])
    assert.deepEqual(await log.read(all.length + 100, 10), [])
  })

  check('a stale or empty batch is refused and changes nothing', async ({ log }) => {
    await log.append({ start: 0, entries: [Buffer.from('a')], blobs: [] })
    for (const start of [0, 2, -1]) {
      await assert.rejects(log.append({ start, entries: [Buffer.from('b')], blobs: [] }), TypeError)
    }
    await assert.rejects(log.append({ start: 1, entries: [], blobs: [] }), TypeError)
    assert.equal(log.size, 1)
    await log.append({ start: 1, entries: [Buffer.from('c')], blobs: [] })
    assert.deepEqual(await log.read(0, 9), [Buffer.from('a'), Buffer.from('c')])
  })

  check('one append at a time', async ({ log }) => {
    const first = log.append({ start: 0, entries: [Buffer.from('a')], blobs: [] })
    await assert.rejects(log.append({ start: 0, entries: [Buffer.from('b')], blobs: [] }), TypeError)
    await first
    assert.deepEqual(await log.read(0, 9), [Buffer.from('a')])
  })

  check('a read gives at most 4 MiB, and an end comes', async ({ log }) => {
    const entries = Array.from({ length: 400 }, (_, i) => Buffer.alloc(16_000, i))
    for (let start = 0; start < 400; start += 50) {
      await log.append({ start, entries: entries.slice(start, start + 50), blobs: [] })
    }
    const seen: Buffer[] = []
    for (;;) {
      const page = await log.read(seen.length, 10_000)
      if (page.length === 0) break
      assert.ok(page.reduce((sum, each) => sum + each.length, 0) <= 4 * 1024 * 1024)
      seen.push(...page)
    }
    assert.deepEqual(seen, entries)
  })

  check('blobs of a batch are there at once, by name', async ({ log }) => {
    const blobs = [1, 100, 200_000].map(size => blobOf(Buffer.alloc(size, size)))
    await log.append({ start: 0, entries: [Buffer.from('a'), Buffer.from('b')], blobs })
    for (const { hash, bytes } of blobs) assert.deepEqual(await log.readBlob(hash), bytes)
    assert.deepEqual(await log.read(0, 9), [Buffer.from('a'), Buffer.from('b')])
    assert.equal(await log.readBlob(blobOf(Buffer.from('other')).hash), undefined)
  })

  check('large blobs, once or twice', async ({ log }) => {
    const blob = blobOf(Buffer.alloc(3_000_000, 7))
    await Promise.all([log.writeBlob(blob), log.writeBlob(blob)])
    await log.writeBlob(blob)
    assert.deepEqual(await log.readBlob(blob.hash), blob.bytes)
  })

  check('what the caller does to its buffers afterwards changes nothing', async ({ log }) => {
    const entry = Buffer.from('before')
    await log.append({ start: 0, entries: [entry], blobs: [] })
    entry.fill(0)
    const [read] = await log.read(0, 1)
    read!.fill(0)
    assert.deepEqual(await log.read(0, 1), [Buffer.from('before')])
  })
}

function blobContract(check: Check): void {
  check(
    'P12: a blob in pieces gets its name at its end, streams back, and can be removed',
    async ({ log }) => {
      const pieces = Array.from({ length: 20 }, (_, i) => Buffer.alloc(40_000 + i, i))
      const whole = blobOf(Buffer.concat(pieces))
      const writer = await log.openBlob()
      for (const piece of pieces) await writer.write(piece)
      assert.equal(await log.readBlob(whole.hash), undefined)
      assert.deepEqual(await writer.finish(), { hash: whole.hash, length: whole.bytes.length })
      assert.deepEqual(await log.readBlob(whole.hash), whole.bytes)
      assert.deepEqual(Buffer.concat(await Array.fromAsync((await log.streamBlob(whole.hash))!)), whole.bytes)
      assert.equal(await log.removeBlob(whole.hash), true)
      assert.equal(await log.removeBlob(whole.hash), false)
      assert.equal(await log.readBlob(whole.hash), undefined)
      assert.equal(await log.streamBlob(whole.hash), undefined)
    },
  )

  check('a blob that is aborted was never there', async ({ log }) => {
    const writer = await log.openBlob()
    await writer.write(Buffer.from('half'))
    await writer.abort()
    assert.equal(await log.readBlob(blobOf(Buffer.from('half')).hash), undefined)
  })

  check('a small blob of a batch streams too', async ({ log }) => {
    const blob = blobOf(Buffer.from('small'))
    await log.append({ start: 0, entries: [Buffer.from('a')], blobs: [blob] })
    assert.deepEqual(Buffer.concat(await Array.fromAsync((await log.streamBlob(blob.hash))!)), blob.bytes)
  })
}

function stateContract(check: Check): void {
  check('a put wins only against the version it names', async ({ state }) => {
    assert.equal(await state.get('a', 'k'), undefined)
    assert.equal(await state.put('a', 'k', { n: 1 }, 1), false)
    assert.equal(await state.put('a', 'k', { n: 1 }, 0), true)
    assert.equal(await state.put('a', 'k', { n: 2 }, 0), false)
    assert.deepEqual(await state.get('a', 'k'), { value: { n: 1 }, version: 1 })
    const won = await Promise.all([1, 2, 3, 4].map(n => state.put('a', 'k', { n }, 1)))
    assert.equal(won.filter(Boolean).length, 1)
    assert.equal((await state.get('a', 'k'))?.version, 2)
    assert.equal(await state.get('b', 'k'), undefined)
  })

  check('deleting is for good, and a deleted key starts anew', async ({ state }) => {
    await state.put('a', 'k', 'v', 0)
    await state.delete('a', 'k')
    await state.delete('a', 'k')
    assert.equal(await state.get('a', 'k'), undefined)
    assert.equal(await state.put('a', 'k', 'w', 1), false)
    assert.equal(await state.put('a', 'k', 'w', 0), true)
  })

  check('lists in key order, by prefix, after a key, a page at a time', async ({ state }) => {
    const keys = ['b', 'a/2', 'a/1', 'a/10', 'a%', 'a_', 'ä', 'c', '\u{1F600}', '\uFFFD']
    for (const key of keys) await state.put('s', key, key, 0)
    await state.put('t', 'other', 1, 0)
    const list = async (options?: { prefix?: string; after?: string; limit?: number }) =>
      (await state.list<string>('s', options)).map(each => each.value)
    const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    assert.deepEqual(await list(), sorted)
    assert.deepEqual(await list({ prefix: 'a/' }), ['a/1', 'a/10', 'a/2'])
    assert.deepEqual(await list({ prefix: 'a%' }), ['a%'])
    assert.deepEqual(await list({ prefix: 'a/', after: 'a/1', limit: 1 }), ['a/10'])
    assert.deepEqual(await list({ after: 'c' }), ['ä', '\uFFFD', '\u{1F600}'])
    assert.deepEqual(await list({ limit: 2 }), sorted.slice(0, 2))
  })

  check('values are JSON of at most 1 MiB', async ({ state }) => {
    await assert.rejects(state.put('s', 'big', 'x'.repeat(1024 * 1024), 0), TypeError)
    await assert.rejects(state.put('s', 'none', undefined, 0), TypeError)
    assert.equal(await state.put('s', 'fits', 'x'.repeat(1024 * 1024 - 2), 0), true)
  })
}

const ana = { issuer: 'i', id: 'U1', email: 'Ana@Example.com', kind: 'user', method: 'oidc' }
const agent = {
  issuer: 'i',
  id: 'agent-7',
  name: 'Triage Bot',
  kind: 'agent',
  on_behalf_of: ana,
  method: 'oidc',
}

const samples: Record<string, unknown>[] = [
  { kind: 'session.started', session: 's1', subject: ana, connection: { name: 'prod' } },
  {
    kind: 'action.intended',
    session: 's1',
    action: 'a1',
    subject: agent,
    operation: 'v1.listMonitors',
    connection: { name: 'prod' },
    http: { url: 'https://api.example.com/x?q=*' },
    trace: { trace_id: 'f'.repeat(32), span_id: 'a'.repeat(16) },
    claimed: { trace: { trace_id: 'e'.repeat(32) } },
  },
  {
    kind: 'action.completed',
    session: 's1',
    action: 'a1',
    subject: agent,
    operation: 'v1.listMonitors',
    outcome: 'success',
    connection: { name: 'prod' },
    http: { status_code: 200 },
  },
  {
    kind: 'action.intended',
    session: 's2',
    action: 'a2',
    subject: ana,
    operation: 'v1.deleteMonitor[x]',
    connection: { name: 'test' },
    claimed: { trace: { trace_id: 'f'.repeat(32), span_id: 'b'.repeat(16) } },
  },
  {
    kind: 'action.denied',
    session: 's2',
    action: 'a2',
    subject: ana,
    operation: 'v1.deleteMonitor[x]',
    outcome: 'denied',
    connection: { name: 'test' },
    approval: { id: 'ap1' },
    reason: 'Löschen nicht erlaubt',
  },
  { kind: 'approval.requested', approval: 'ap1', subject: agent },
  { kind: 'heartbeat' },
  { kind: 'note', session: '--', trace: { trace_id: 'Ünlike 1/é' } },
]

const queries: [title: string, query: Partial<EntryQuery>, found: number[]][] = [
  ['everything', {}, [0, 1, 2, 3, 4, 5, 6, 7]],
  ['newest first', { descending: true }, [7, 6, 5, 4, 3, 2, 1, 0]],
  ['after', { after: 4 }, [5, 6, 7]],
  ['before', { after: 2, descending: true }, [1, 0]],
  ['kinds', { kinds: ['action.denied', 'heartbeat', 'none'] }, [4, 6]],
  ['no kinds', { kinds: [] }, []],
  [
    'an e-mail in any case, of the subject or of the person behind it',
    { identity: 'ana@example.COM' },
    [0, 1, 2, 3, 4, 5],
  ],
  ['an id', { identity: 'AGENT-7' }, [1, 2, 5]],
  ['a name', { identity: 'triage bot' }, [1, 2, 5]],
  ['part of a name', { identity: 'triage' }, []],
  ['connection', { connection: 'test' }, [3, 4]],
  ['operation', { operation: 'v1.listMonitors' }, [1, 2]],
  ['operation with a star', { operation: 'v1.*Monitor*' }, [1, 2, 3, 4]],
  ['a star alone', { operation: '*' }, [0, 1, 2, 3, 4, 5, 6, 7]],
  ['brackets mean themselves', { operation: 'v1.delete*[x]' }, [3, 4]],
  ['a question mark means itself', { operation: 'v?.*' }, []],
  ['outcome', { outcome: 'denied' }, [4]],
  ['session and action', { session: 's2', action: 'a2' }, [3, 4]],
  ['approval, however it is named', { approval: 'ap1' }, [4, 5]],
  ['an id is exact', { session: 'S2' }, []],
  ['part of an id', { action: 'a' }, []],
  ['an id that is a word of others', { approval: 'bot' }, []],
  ['no id', { session: '' }, [5, 6]],
  ['an id without a word', { session: '--' }, [7]],
  ['an id of several words', { trace: 'Ünlike 1/é' }, [7]],
  ['an id and words', { approval: 'ap1', text: 'bot' }, [5]],
  ['the trace that it is in, or else the one claimed', { trace: 'f'.repeat(32) }, [1, 3]],
  ['time', { since: 1_700_000_002_000, until: 1_700_000_004_000 }, [2, 3]],
  ['words', { text: 'LISTMONITORS v1' }, [1, 2]],
  ['a word and a number', { text: 'status 200 bot' }, []],
  ['words of another script', { text: 'löschen' }, [4]],
  ['hostile words', { text: '" OR NOT * ^ NEAR( api.example.com' }, []],
  ['an address as words', { text: 'https://api.example.com/x' }, [1]],
  ['text of signs alone', { text: '"*' }, [0, 1, 2, 3, 4, 5, 6, 7]],
  [
    'all at once',
    {
      identity: 'u1',
      kinds: ['action.denied'],
      connection: 'test',
      operation: 'v1.*',
      text: 'nicht',
      descending: true,
      outcome: 'denied',
    },
    [4],
  ],
  ['nothing', { session: 's1', connection: 'test' }, []],
]

function indexContract(check: Check): void {
  const fill = async ({ log, index }: Storage): Promise<Buffer[]> => {
    const entries = samples.map((fields, i) => entryOf(i, fields))
    await log.append({ start: 0, entries, blobs: [] })
    await index.whenIndexed(entries.length)
    return entries
  }

  check('finds what was asked for', async storage => {
    const entries = await fill(storage)
    for (const [title, query, found] of queries) {
      const page = await storage.index.search({ limit: 100, ...query })
      assert.deepEqual(
        page.entries.map(each => each.index),
        found,
        title,
      )
      for (const { index, bytes } of page.entries) assert.deepEqual(bytes, entries[index])
      assert.equal(page.next, undefined)
      assert.equal(page.indexed, entries.length)
    }
  })

  check('pages follow each other without a gap in both directions', async storage => {
    await fill(storage)
    for (const [title, query, found] of queries) {
      const seen: number[] = []
      let page: EntryQuery = { ...query, limit: 2 }
      for (;;) {
        const { entries, next } = await storage.index.search(page)
        seen.push(...entries.map(each => each.index))
        if (next === undefined) break
        page = { ...page, after: next }
      }
      assert.deepEqual(seen, found, title)
    }
  })

  check('who asks is told of what was durable before', async ({ log, index }) => {
    for (const [i, fields] of samples.entries()) {
      await log.append({ start: i, entries: [entryOf(i, fields)], blobs: [] })
      const page = await index.search({ limit: 1, descending: true })
      assert.deepEqual([page.entries[0]?.index, page.indexed], [i, i + 1])
      assert.equal((await index.count({ filter: {}, fields: ['kind'], top: 1 })).entries, i + 1)
    }
    assert.equal((await index.identities({ limit: 9 })).identities.length, 2)
  })

  check('entries that are no JSON are kept and listed all the same', async ({ log, index }) => {
    await log.append({
      start: 0,
      entries: [Buffer.from([0xff, 0]), Buffer.from('[1]'), entryOf(2)],
      blobs: [],
    })
    await index.whenIndexed(3)
    assert.equal((await index.search({ limit: 10 })).entries.length, 3)
    assert.equal((await index.search({ limit: 10, kinds: ['heartbeat'] })).entries.length, 1)
  })

  check('a limit out of range is refused', async ({ index }) => {
    for (const limit of [0, -1, 1001, 1.5, Number.NaN])
      await assert.rejects(index.search({ limit }), TypeError)
  })
}

function countContract(check: Check): void {
  check('counts by field and time, and says who was seen', async storage => {
    const { index } = storage
    const { log } = storage
    const entries = [
      { kind: 'action.completed', outcome: 'success', subject: { id: 'a1', name: 'Agent One' } },
      { kind: 'action.denied', outcome: 'denied', subject: { id: 'a1', name: 'Agent One' } },
      { kind: 'approval.requested', approval: 'ap_1', subject: { id: 'a2' } },
      {
        kind: 'action.completed',
        outcome: 'success',
        subject: { id: 'a2' },
        trace: { trace_id: 'f'.repeat(32) },
      },
    ].map((fields, i) => entryOf(i, fields))
    await log.append({ start: 0, entries, blobs: [] })
    await index.whenIndexed(entries.length)
    const counted = await index.count({
      filter: {},
      fields: ['identity', 'outcome', 'approval'],
      top: 1,
      buckets: { from: 1_700_000_000_000, width: 2000, count: 2 },
    })
    assert.deepEqual(counted, {
      entries: 4,
      fields: {
        identity: {
          keys: [{ key: 'a2', entries: 2, buckets: [0, 2] }],
          other: { keys: 1, entries: 2, buckets: [2, 0] },
        },
        outcome: {
          keys: [{ key: 'success', entries: 2, buckets: [1, 1] }],
          other: { keys: 1, entries: 1, buckets: [1, 0] },
        },
        approval: { keys: [{ key: 'requested', entries: 1, buckets: [0, 1] }] },
      },
      indexed: 4,
    })
    for (const [filter, found] of [
      [{ approval: 'ap_1' }, 1],
      [{ trace: 'f'.repeat(32) }, 1],
      [{ trace: 'f'.repeat(32), outcome: 'denied' }, 0],
    ] as const)
      assert.equal((await index.count({ filter, fields: ['kind'], top: 1 })).entries, found)
    const page = await index.identities({ limit: 1 })
    assert.deepEqual(page, { identities: [{ entries: 2, first: 2, last: 3 }], next: 3 })
    assert.deepEqual(await index.identities({ limit: 1, before: 3 }), {
      identities: [{ entries: 2, first: 0, last: 1 }],
    })
    assert.deepEqual(await index.identities({ limit: 9, name: 'ONE' }), {
      identities: [{ entries: 2, first: 0, last: 1 }],
    })
  })
}
