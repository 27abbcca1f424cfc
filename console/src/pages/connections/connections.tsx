import { useMutation, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { api, unwrap } from '../../api/client.ts'
import { connectionsQuery } from '../../api/queries.ts'
import type { ConnectionView } from '../../api/views.ts'
import { Badge, type BadgeTone } from '../../parts/badge.tsx'
import { Button, IconButton } from '../../parts/button.tsx'
import { Page } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { Ago } from '../../parts/time.tsx'
import { copy } from '../../parts/toast.tsx'
import { useMe } from '../../shell/me.ts'

/** The upstreams as they are configured: their addresses for clients, never their secrets. */
export function Connections() {
  const connections = useQuery({ ...connectionsQuery, refetchInterval: 10_000 })
  return (
    <Page
      title="Connections"
      about="From the configuration file. An agent changes its base address to the one here and keeps its own token; the upstream's credential never leaves the gateway."
    >
      <div className="panel scroll-x">
        <Shown of={connections}>
          {found =>
            found.length === 0 ? (
              <Empty title="No connection is configured">Add one to the configuration file.</Empty>
            ) : (
              <table className="table" aria-label="Connections">
                <thead>
                  <tr>
                    <th>Name</th>
                    <th>Protocol</th>
                    <th>Sensitivity</th>
                    <th>Address for clients</th>
                    <th>Health</th>
                    <th>
                      <span className="visually-hidden">Check</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {found.map(each => (
                    <ConnectionRow key={each.name} connection={each} />
                  ))}
                </tbody>
              </table>
            )
          }
        </Shown>
      </div>
    </Page>
  )
}

const sensitivities: Readonly<Record<string, BadgeTone>> = { high: 'warn', critical: 'bad' }

function ConnectionRow({ connection }: { readonly connection: ConnectionView }) {
  const { name, protocol, sensitivity, labels, url } = connection
  // Without a listener of its own it is reached through a tunnel.
  const address = url ?? `sallyport connect ${name}`
  const { is } = useMe()
  return (
    <tr>
      <td>
        {is('auditor') ? (
          <Link to="/search" search={{ connection: name }} className="cell-main" data-item>
            {name}
          </Link>
        ) : (
          <span className="cell-main">{name}</span>
        )}
        <span className="cell-sub">
          {Object.entries(labels)
            .map(([key, value]) => `${key}: ${value}`)
            .join(', ')}
        </span>
      </td>
      <td>{protocol}</td>
      <td>
        <Badge tone={sensitivities[sensitivity] ?? 'plain'}>{sensitivity}</Badge>
      </td>
      <td>
        <span className="line address">
          <code>{address}</code>
          <IconButton
            icon="copy"
            label={`Copy the address of ${name}`}
            onPress={() => void copy(address, 'Address')}
          />
        </span>
      </td>
      <td>
        <Health connection={connection} />
      </td>
      <td className="end">{is('admin') && <Check name={name} />}</td>
    </tr>
  )
}

function Health({ connection: { health } }: { readonly connection: ConnectionView }) {
  if (health === undefined || health.state === 'unknown') return <span className="faint">not used yet</span>
  const at = health.state === 'ok' ? health.last_success : health.last_failure
  return (
    <span className="line">
      <Badge tone={health.state === 'ok' ? 'good' : 'bad'}>{health.state}</Badge>
      {at !== undefined && (
        <span className="faint">
          <Ago at={at} />
        </span>
      )}
    </span>
  )
}

/** Dials the upstream; no action is sent. */
function Check({ name }: { readonly name: string }) {
  const check = useMutation({
    mutationFn: () => unwrap(api.POST('/api/v1/connections/{name}/check', { params: { path: { name } } })),
  })
  return (
    <span className="line line-end">
      {check.data !== undefined && (
        <span className={check.data.ok ? 'soft' : 'form-error'} role="status">
          {check.data.detail}
        </span>
      )}
      {check.error !== null && (
        <span className="form-error" role="alert">
          {check.error.message}
        </span>
      )}
      <Button onPress={() => check.mutate()} isDisabled={check.isPending}>
        {check.isPending ? 'Dialling' : 'Check'}
      </Button>
    </span>
  )
}
