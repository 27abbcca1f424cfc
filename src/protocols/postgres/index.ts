/** The protocol `postgres`: PostgreSQL's own wire, versions 3.0 and 3.2. */
import type { Gateway } from '../../gateway/gateway.ts'
import type { OpenConnection, Protocol } from '../../gateway/protocol.ts'
import type { Connection } from '../../model/connection.ts'
import { PostgresConnection } from './connection.ts'
import { postgresSettings } from './settings.ts'

export const postgresProtocol: Protocol = {
  name: 'postgres',
  settings: postgresSettings,
  /** `*`: names that `tls.client` says. */
  credential: { required: [], optional: ['user', 'password', '*'] },
  open(connection: Connection, gateway: Gateway): OpenConnection {
    return new PostgresConnection(connection, gateway)
  },
}
