import type { Entry } from '../../src/audit/events.ts'
import { createLogger } from '../../src/log.ts'
import { type RunningGateway, startGateway } from '../../src/main.ts'
import type { LogStore } from '../../src/storage/storage.ts'
import { LocalApi } from './local-api.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

/** A gateway in this process. */
export interface TestGateway extends AsyncDisposable {
  readonly url: string
  readonly running: RunningGateway
  readonly api: LocalApi
  /** What the gateway said for its operators. */
  readonly said: readonly string[]
  /** Every durable entry, in order. */
  entries(): Promise<Entry[]>
  /** Resolves with the entries once there are so many that satisfy `is`. */
  waitForEntries(count: number, is: (entry: Entry) => boolean): Promise<Entry[]>
  close(graceMs?: number): Promise<void>
}

/** Starts a gateway with the world's configuration. */
export async function openGateway(world: World): Promise<TestGateway> {
  const said: string[] = []
  const running = await startGateway({
    config: world.configFile,
    logger: createLogger(line => void said.push(line)),
  })
  const api = new LocalApi(world.data)
  const gateway: TestGateway = {
    url: running.urls[0]!,
    running,
    api,
    said,
    entries: () => readEntries(running.services.storage.log),
    waitForEntries: (count, is) =>
      until(`${count} such entries`, async () => {
        const found = (await gateway.entries()).filter(is)
        return found.length >= count && found
      }),
    async close(graceMs = 1000) {
      await api.close()
      await running.close(graceMs)
    },
    [Symbol.asyncDispose]: () => gateway.close(),
  }
  return gateway
}

/** Every durable entry of a store. */
export async function readEntries(log: LogStore): Promise<Entry[]> {
  const entries: Entry[] = []
  const { size } = log
  while (entries.length < size) {
    for (const bytes of await log.read(entries.length, size - entries.length))
      entries.push(JSON.parse(bytes.toString('utf8')) as Entry)
  }
  return entries
}
