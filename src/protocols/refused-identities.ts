/** Notes refused credentials in the log: each of them, until one address sends so many that the log would suffer. */
import type { Audit, ClientFacts } from '../audit/audit.ts'
import type { Refusal } from '../identity/authenticator.ts'
import type { Connection } from '../model/connection.ts'
import { BoundedNotes, type Bounds } from './bounded-notes.ts'

const bounds: Bounds = { perAddress: 20, inAll: Infinity, addresses: 4096, windowMs: 10_000 }

export interface RefusedIdentities {
  /** Resolves when the entry is durable, or at once where only counted. Throws what `audit.note` throws. */
  note(client: ClientFacts, refusal: Refusal): Promise<void>
  close(): void
}

export function refusedIdentities(
  audit: Audit,
  connection: Pick<Connection, 'name' | 'protocol' | 'sensitivity'>,
): RefusedIdentities {
  const target = {
    name: connection.name,
    protocol: connection.protocol,
    sensitivity: connection.sensitivity,
  }
  const notes = new BoundedNotes(bounds, (ip, suppressed) => {
    const client = ip === undefined ? {} : { client: { ip } }
    const attributes = { ...client, connection: target, reason: 'suppressed', suppressed }
    // The attempts were refused either way; a log that can't take the count says so by its own health.
    audit.note('identity.refused', attributes).catch(() => {})
  })
  return {
    async note(client, { reason, claimed }) {
      if (!notes.admits(client.ip)) return
      await audit.note('identity.refused', {
        client,
        connection: target,
        reason,
        ...(claimed && { claimed }),
      })
    },
    close: () => notes.close(),
  }
}
