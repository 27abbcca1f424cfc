import { join } from 'node:path'
import { Counter, type Registry } from 'prom-client'
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { Detection } from '../detection/detection.ts'
import { OwedFile } from '../detection/owed-file.ts'
import { Restrictions } from '../detection/restrictions.ts'
import type { Logger } from '../log.ts'
import type { Storage } from '../storage/storage.ts'

export interface WatchingParts {
  readonly config: Config
  /** Of the gateway's data. */
  readonly directory: string
  readonly storage: Storage
  readonly audit: Audit
  readonly clock: Clock
  readonly registry: Registry
  readonly logger: Logger
  readonly undo: AsyncDisposableStack
}

/** What watches identities and holds them back. Restrictions that were in force are so when it resolves. */
export async function openDetection(parts: WatchingParts) {
  const { config, directory, storage, audit, clock, registry, logger, undo } = parts
  const { state } = storage
  const owed = new OwedFile(join(directory, 'restrictions.owed.json'))
  const restrictions = new Restrictions({ state, audit, clock, logger, owed })
  await restrictions.start()
  undo.defer(() => restrictions.stop())
  const detection = new Detection({ config: config.detection, state, audit, clock, restrictions, logger })
  detection.start()
  undo.defer(() => detection.stop())
  const dropped = new Counter({
    name: 'sallyport_findings_dropped_total',
    help: 'Findings that the log could not take in time',
    registers: [registry],
    collect() {
      this.reset()
      this.inc(detection.dropped)
    },
  })
  undo.defer(() => registry.removeSingleMetric('sallyport_findings_dropped_total'))
  void dropped
  return { detection, restrictions }
}
