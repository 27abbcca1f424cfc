/** Notes what was refused before anybody was identified, since it could not be read as a request of this gateway. */
import type { Audit, ClientFacts } from '../audit/audit.ts'
import { asGatewayError, type ErrorCode } from '../errors.ts'
import type { Connection } from '../model/connection.ts'
import { BoundedNotes, type Bounds } from './bounded-notes.ts'

/** It takes no credential to send garbage, so little of it is worth an entry of its own. */
const bounds: Bounds = { perAddress: 5, inAll: 100, addresses: 64, windowMs: 10_000 }

export interface RefusedRequests {
  /** Returns at once: the refusal does not wait for its entry. `detail` is the gateway's own words. */
  note(client: ClientFacts, refused: { readonly code: ErrorCode; readonly detail?: string | undefined }): void
  /** What `read` gives. What it throws is noted. */
  noting<T>(client: ClientFacts, read: () => T): T
  close(): void
}

/** `connection`: where it was addressed to; absent where nothing could tell. */
export function refusedRequests(
  audit: Audit,
  connection?: Pick<Connection, 'name' | 'protocol' | 'sensitivity'>,
): RefusedRequests {
  const target = connection && {
    connection: {
      name: connection.name,
      protocol: connection.protocol,
      sensitivity: connection.sensitivity,
    },
  }
  const write = (attributes: Readonly<Record<string, unknown>>): void => {
    // Nothing ran and nothing will: a log that can't take it says so by its own health.
    audit.note('request.refused', { ...attributes, ...target }).catch(() => {})
  }
  const notes = new BoundedNotes(bounds, (ip, suppressed) =>
    write({ ...(ip === undefined ? {} : { client: { ip } }), reason: 'suppressed', suppressed }),
  )
  const note: RefusedRequests['note'] = (client, { code, detail }) => {
    if (!notes.admits(client.ip)) return
    write({ client, reason: code, ...(detail === undefined ? {} : { error: { code, detail } }) })
  }
  return {
    note,
    noting(client, read) {
      try {
        return read()
      } catch (error) {
        note(client, asGatewayError(error))
        throw error
      }
    },
    close: () => notes.close(),
  }
}
