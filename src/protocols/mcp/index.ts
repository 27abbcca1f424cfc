/** The protocol `mcp`: servers of the Model Context Protocol, several behind one connection. */
import type { Gateway } from '../../gateway/gateway.ts'
import type { OpenConnection, Protocol } from '../../gateway/protocol.ts'
import type { Connection } from '../../model/connection.ts'
import { McpConnection } from './connection.ts'
import { mcpSettings } from './settings.ts'

export const mcpProtocol: Protocol = {
  name: 'mcp',
  settings: mcpSettings,
  /** `*`: any names; the servers' `headers` and `tls.client` say which are used. */
  credential: { required: [], optional: ['*'] },
  open(connection: Connection, gateway: Gateway): OpenConnection {
    return new McpConnection(connection, gateway)
  },
}
