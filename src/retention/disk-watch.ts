/**
 * Watches the disk of the log, as auditd would: warns, then refuses new sessions, then every action, before there is no
 * room to record one; and takes them again by itself when there is room.
 */
import { Gauge, type Registry } from 'prom-client'
import type { Audit } from '../audit/audit.ts'
import type { StorageConfig } from '../config/storage.ts'
import { GatewayError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { DiskSpace } from '../storage/storage.ts'

/** From best to worst. Each also does what the one before does. */
export const diskStates = ['ok', 'warn', 'refuse-sessions', 'refuse'] as const
export type DiskState = (typeof diskStates)[number]

export interface DiskWatchParts {
  readonly space: () => Promise<DiskSpace>
  readonly marks: StorageConfig['watermarks']
  readonly logger: Logger
  readonly registry: Registry
  readonly everyMs?: number
}

/** Room must come back to this much above a mark, in percent of the disk, before its state ends: no flapping. */
const slack = 0.5

export class DiskWatch {
  readonly #parts: DiskWatchParts
  readonly #free: Gauge
  readonly #level: Gauge
  #audit: Audit | undefined
  #state: DiskState = 'ok'
  #percent = 100
  /** The state that the log knows of. */
  #told: DiskState = 'ok'
  #timer: NodeJS.Timeout | undefined
  #closed = false

  private constructor(parts: DiskWatchParts) {
    this.#parts = parts
    const registers = [parts.registry]
    this.#free = new Gauge({
      name: 'sallyport_disk_free_ratio',
      help: 'Part of the disk of the log that is free',
      registers,
    })
    this.#level = new Gauge({
      name: 'sallyport_disk_state',
      help: '0 ok, 1 warn, 2 new sessions are refused, 3 every action is refused for want of room',
      registers,
    })
  }

  /** Looks once before it resolves, so that a start on a full disk refuses from its first action on. */
  static async open(parts: DiskWatchParts): Promise<DiskWatch> {
    const watch = new DiskWatch(parts)
    await watch.look()
    watch.#schedule()
    return watch
  }

  get state(): DiskState {
    return this.#state
  }

  get freePercent(): number {
    return this.#percent
  }

  /** From here on a change of state is an entry, the present one included, if it can be written. */
  async tell(audit: Audit): Promise<void> {
    this.#audit = audit
    await this.#note()
  }

  /** Why no session may begin; undefined where one may. */
  readonly refuseSession = (): GatewayError | undefined =>
    this.#state === 'refuse-sessions' || this.#state === 'refuse' ? fullError() : undefined

  /** Why no action may begin; undefined where one may. */
  readonly refuseAction = (): GatewayError | undefined => (this.#state === 'refuse' ? fullError() : undefined)

  async look(): Promise<void> {
    const { freeBytes, totalBytes } = await this.#parts.space()
    this.#percent = totalBytes === 0 ? 0 : (freeBytes / totalBytes) * 100
    const before = this.#state
    const enough = freeBytes >= this.#parts.marks.enough_bytes
    this.#state = this.#stateAt(enough ? 100 : this.#percent)
    this.#free.set(this.#percent / 100)
    this.#level.set(diskStates.indexOf(this.#state))
    if (this.#state === before) return await this.#note()
    const facts = { state: this.#state, before, free_percent: rounded(this.#percent) }
    if (this.#state === 'ok') this.#parts.logger.info('disk', facts)
    else this.#parts.logger.warn('disk', facts)
    await this.#note()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #stateAt(percent: number): DiskState {
    const { warn_percent, refuse_sessions_percent, refuse_percent } = this.#parts.marks
    const at = diskStates.indexOf(this.#state)
    const below = (mark: number, level: number): boolean =>
      percent < (at >= level && mark > 0 ? mark + slack : mark)
    if (below(refuse_percent, 3)) return 'refuse'
    if (below(refuse_sessions_percent, 2)) return 'refuse-sessions'
    return below(warn_percent, 1) ? 'warn' : 'ok'
  }

  /** An entry where the log knows of another state. On a disk too full to write it, a later look tries again. */
  async #note(): Promise<void> {
    const state = this.#state
    if (this.#audit === undefined || this.#told === state) return
    const disk = { state, before: this.#told, free_percent: rounded(this.#percent) }
    try {
      await this.#audit.note('disk.crossed', { disk })
      this.#told = state
    } catch {
      // Refused actions and the warning above tell of it meanwhile.
    }
  }

  #schedule(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      this.look()
        .catch((error: unknown) => this.#parts.logger.error('disk', { error: String(error) }))
        .finally(() => this.#schedule())
    }, this.#parts.everyMs ?? 3000).unref()
  }
}

function fullError(): GatewayError {
  return new GatewayError('recording-unavailable', { internal: 'the disk of the log is nearly full' })
}

function rounded(percent: number): number {
  return Math.round(percent * 10) / 10
}
