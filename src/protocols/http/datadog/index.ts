/** The protocol `datadog`: Datadog's API, with its operations by name, its hosts, its credentials, its secrets masked. */
import type { Gateway } from '../../../gateway/gateway.ts'
import type { OpenConnection, Protocol } from '../../../gateway/protocol.ts'
import type { Connection } from '../../../model/connection.ts'
import { createHttpConnection } from '../connection.ts'
import { httpReenactor } from '../reenact.ts'
import { datadogFlavour } from './flavour.ts'
import { type DatadogSettings, datadogSettings } from './settings.ts'

export const datadogProtocol: Protocol = {
  name: 'datadog',
  settings: datadogSettings,
  /** `*`: those that `tls.client` names. `access_token`, where given, is used in place of the pair of keys. */
  credential: { required: ['api_key'], optional: ['app_key', 'access_token', '*'] },
  open(connection: Connection, gateway: Gateway): OpenConnection {
    const flavour = datadogFlavour(connection.settings as DatadogSettings)
    return createHttpConnection({ connection, gateway, flavour })
  } /** Recorded calls name their operations whatever the site. */,
  reenactor: () => httpReenactor(datadogFlavour(datadogSettings.parse({}))),
}
