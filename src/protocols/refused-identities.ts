/** Notes refused credentials in the log: each of them, until one address sends so many that the log would suffer. */
import type { Audit, ClientFacts } from '../audit/audit.ts'
import type { Refusal } from '../identity/authenticator.ts'
import type { Connection } from '../model/connection.ts'

/** Notes per address and window; what goes beyond is counted, and the count is noted when the window ends. */
const perWindow = 20
const windowMs = 10_000
/** Addresses watched at once. Beyond it all others share one count, so that many addresses are no way around. */
const maxAddresses = 4096

interface Watch {
  noted: number
  suppressed: number
}

export interface RefusedIdentities {
  /** Resolves when the entry is durable, or at once where only counted. Throws what `audit.note` throws. */
  note(client: ClientFacts, refusal: Refusal): Promise<void>
  close(): void
}

export function refusedIdentities(
  audit: Audit,
  connection: Pick<Connection, 'name' | 'protocol' | 'sensitivity'>,
): RefusedIdentities {
  const watched = new Map<string, Watch>()
  const target = {
    name: connection.name,
    protocol: connection.protocol,
    sensitivity: connection.sensitivity,
  }
  const end = (): void => {
    for (const [ip, { suppressed }] of watched) {
      if (suppressed === 0) continue
      const attributes = { client: { ip }, connection: target, reason: 'suppressed', suppressed }
      // The attempts were refused either way; a log that can't take the count says so by its own health.
      audit.note('identity.refused', attributes).catch(() => {})
    }
    watched.clear()
  }
  let timer: NodeJS.Timeout | undefined
  return {
    async note(client, refusal) {
      if (timer === undefined) {
        timer = setTimeout(() => {
          timer = undefined
          end()
        }, windowMs)
        timer.unref()
      }
      const key = watched.size < maxAddresses || watched.has(client.ip) ? client.ip : 'others'
      let watch = watched.get(key)
      if (watch === undefined) watched.set(key, (watch = { noted: 0, suppressed: 0 }))
      if (watch.noted >= perWindow) {
        watch.suppressed++
        return
      }
      watch.noted++
      const { reason, claimed } = refusal
      await audit.note('identity.refused', {
        client,
        connection: target,
        reason,
        ...(claimed && { claimed }),
      })
    },
    close() {
      clearTimeout(timer)
      end()
    },
  }
}
