import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Services } from '../api/services.ts'
import { type LoadedConfig, loadConfig } from '../config/load.ts'
import { ProblemsError } from '../config/located-yaml.ts'
import type { Protocol } from '../gateway/protocol.ts'
import type { Logger } from '../log.ts'
import type { ConnectionTable } from './connections.ts'
import type { LiveGateway } from './live-gateway.ts'
import { watchFiles } from './reload.ts'

/** Sections that take effect at the next start only. */
const fixed = [
  'data',
  'origin',
  'listen',
  'limits',
  'storage',
  'audit',
  'recording',
  'retention',
  'sessions',
  'sinks',
  'public_url',
  'domain',
] as const

export interface ReloaderParts {
  readonly loaded: LoadedConfig
  readonly protocols: readonly Protocol[]
  readonly gateway: LiveGateway
  readonly table: ConnectionTable
  readonly services: Services
  readonly logger: Logger
}

/**
 * Takes up changes of the configuration file and of the policy file beside it. A file that is not valid changes
 * nothing: the earlier configuration stays, and both the gateway's log and the audit log say why.
 */
export class Reloader {
  readonly #parts: ReloaderParts
  #loaded: LoadedConfig
  #unwatch: () => void
  #running: Promise<boolean> = Promise.resolve(true)

  constructor(parts: ReloaderParts) {
    this.#parts = parts
    this.#loaded = parts.loaded
    this.#unwatch = this.#watch()
  }

  /** One after another; false when the file was not taken. */
  reload(): Promise<boolean> {
    this.#running = this.#running.then(() => this.#reloadNow())
    return this.#running
  }

  close(): void {
    this.#unwatch()
  }

  async #reloadNow(): Promise<boolean> {
    const { protocols, gateway, table, services, logger } = this.#parts
    try {
      const next = await loadConfig(this.#loaded.file, protocols)
      await gateway.adopt(next)
      await table.apply(next.connections, services.audit)
      const waiting: string[] = fixed.filter(
        key => !isDeepStrictEqual(next.config[key], this.#loaded.config[key]),
      )
      for (const key of ['notifiers', 'slack_link'] as const) {
        if (!isDeepStrictEqual(next.config.approvals[key], this.#loaded.config.approvals[key]))
          waiting.push(`approvals.${key}`)
      }
      if (waiting.length > 0) logger.warn('restart needed', { sections: waiting })
      await services.audit.note('configuration.changed', { restart_needed: waiting })
      this.#loaded = { ...next, config: { ...next.config } }
      this.#unwatch()
      this.#unwatch = this.#watch()
      logger.info('configuration taken up', { connections: next.connections.length })
      return true
    } catch (error) {
      const problems = error instanceof ProblemsError ? error.problems : undefined
      logger.error('configuration not taken; the earlier one stays', { error: (error as Error).message })
      const said = problems
        ?.slice(0, 20)
        .map(({ line, column, path, message }) => ({ line, column, path, message }))
      await services.audit
        .note('configuration.rejected', said === undefined ? {} : { problems: said })
        .catch(() => undefined)
      return false
    }
  }

  #watch(): () => void {
    const { file, base, config } = this.#loaded
    const policy = config.policy.file
    return watchFiles(policy === undefined ? [file] : [file, resolve(base, policy)], () => void this.reload())
  }
}
