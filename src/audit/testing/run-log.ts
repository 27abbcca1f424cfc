import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { GatewayError } from '../../errors.ts'
import { openCheckpointer } from '../checkpoint.ts'
import { sessionFields } from '../entry.ts'
import { openAudit } from '../log.ts'
import type { Source } from '../verify/source.ts'
import { type FakeStore, fakeStore } from './fake-store.ts'
import { answered, origin, permit, sampleAction, sampleSession } from './samples.ts'

/** A directory that is gone after the test. */
export async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-log-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

export interface RunLog {
  readonly home: string
  /** The published log. */
  readonly directory: string
  readonly store: FakeStore
  readonly vkey: string
  readonly note: string
}

/** A gateway's run: `actions` actions of every ending in a session, in good order or as a crash leaves it. */
export async function runLog(
  home: string,
  of: { readonly actions: number; readonly store?: FakeStore; readonly crash?: boolean },
): Promise<RunLog> {
  const { store = fakeStore(), crash = false } = of
  const directory = join(home, 'log')
  const checkpointer = await openCheckpointer({
    store,
    origin,
    directory,
    keyFiles: [join(home, 'log.key')],
    every: 1e6,
    scrub: 0,
    onAlarm: error => {
      throw error
    },
  })
  const root = async (): Promise<string> => (await checkpointer.catchUp()).root
  const audit = await openAudit({ store, origin, root, heartbeat: { growing: 1, idle: 1e6 } })
  const session = sampleSession(`s_${store.size}`)
  await audit.note('session.started', sessionFields(session))
  for (let i = 0; i < of.actions; i++) {
    const action = await audit.begin(session, sampleAction())
    if (i % 50 === 0) await new Promise(resolve => setTimeout(resolve, 2))
    action.decided(permit)
    if (i % 7 === 0) await action.deny({ reason: 'rule-denied' })
    else if (i % 5 === 0) await action.fail(new GatewayError('upstream-timeout'))
    else if (i % 11 !== 0) await action.complete(answered)
    else if (!crash) await action.fail(new GatewayError('client-gone'))
  }
  if (!crash) await audit.close(0)
  const { note } = await checkpointer.publish()
  await checkpointer.close()
  return { home, directory, store: fakeStore(store.entries), vkey: checkpointer.vkeys[0]!, note }
}

/** Files in memory as a log's source, for tests that change them thousands of times. */
export async function readFiles(directory: string): Promise<Map<string, Buffer>> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = new Map<string, Buffer>()
  for (const each of found) {
    if (each.isDirectory()) continue
    const path = join(each.parentPath, each.name)
    files.set(path.slice(directory.length + 1), await readFile(path))
  }
  return files
}

export function memorySource(files: ReadonlyMap<string, Buffer>): Source {
  return {
    name: 'memory',
    // A copy, since a reader may use the bytes as it likes.
    read: async path => (files.has(path) ? Buffer.from(files.get(path)!) : undefined),
    list: async () => [...files.keys()],
  }
}

/** Publishes the entries of a store as they are, whatever they say. */
export async function publish(home: string, store: RunLog['store']): Promise<RunLog> {
  const directory = join(home, 'log')
  const checkpointer = await openCheckpointer({
    store,
    origin,
    directory,
    keyFiles: [join(home, 'log.key')],
    every: 1e6,
    scrub: 0,
    onAlarm: error => {
      throw error
    },
  })
  const { note } = await checkpointer.publish()
  await checkpointer.close()
  return { home, directory, store, vkey: checkpointer.vkeys[0]!, note }
}
