/** What the gateway is measured against, and what stands behind both: nginx and HAProxy, with their configurations. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, type Pinned, startPinned, whenListening } from './process.ts'

/** An answer of Datadog's `GET /api/v1/monitor`, 1.6 KB, with a person's address and a secret in it. */
export const secretInAnswer = 'ghp_R7fQ2mZx9LkW4vTn8sYb3cHd6jPa1eUg5iXo'
export const personInAnswer = 'ana@example.com'

const monitor = {
  id: 91_824_371,
  org_id: 1_000_345,
  type: 'query alert',
  name: '[payments] p99 latency of checkout is high',
  message: `Latency of checkout is high in {{env.name}}. Call the on-call of payments. Before anything else look at the deploys of the last hour: nine times of ten one of them is the cause, and rolling it back is quicker than finding out why. If there was none, see whether the database of orders is slow, then the payment providers.\n\nTo run the smoke test by hand: curl -H "Authorization: token ${secretInAnswer}" https://ci.example.com/smoke\n\n@slack-payments-alerts @pagerduty-payments`,
  tags: ['team:payments', 'env:prod', 'service:checkout', 'severity:2', 'managed-by:terraform'],
  query:
    'avg(last_5m):p99:trace.http.request{env:prod,service:checkout,resource_name:post_/v1/orders} by {cluster} > 1.8',
  options: {
    thresholds: { critical: 1.8, warning: 1.2, critical_recovery: 1.1 },
    notify_audit: true,
    require_full_window: false,
    renotify_interval: 60,
    renotify_statuses: ['alert', 'no data'],
    include_tags: true,
    escalation_message: 'Still burning: page the incident commander and open a bridge.',
    evaluation_delay: 60,
    new_group_delay: 300,
    on_missing_data: 'show_and_notify_no_data',
    silenced: {},
  },
  multi: true,
  created: '2026-02-11T09:31:07.000000+00:00',
  created_at: 1_770_802_267_000,
  modified: '2026-11-02T16:20:45.412981+00:00',
  creator: { id: 5_512_907, handle: personInAnswer, name: 'Ana Example', email: personInAnswer },
  overall_state: 'OK',
  overall_state_modified: '2026-11-20T22:41:19+00:00',
  priority: 2,
  restricted_roles: null,
  deleted: null,
}

export const answer = JSON.stringify([monitor])

export interface Upstream extends AsyncDisposable {
  readonly port: number
  readonly process: Pinned
}

const quiet = 'access_log off; error_log stderr crit;'

/** nginx: the answer at every path, and 202 at `/intake` for a sink. */
export async function startUpstream(directory: string, core: number): Promise<Upstream> {
  const port = await freePort()
  await writeFile(join(directory, 'answer.json'), answer)
  const file = join(directory, 'nginx.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    each => `${each}_temp_path ${directory}/nginx-${each};`,
  )
  await writeFile(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${directory}/nginx.pid; ${'error_log stderr crit;'}
events { worker_connections 4096; }
http {
  ${quiet} ${temporary.join(' ')}
  keepalive_requests 1000000000; keepalive_timeout 600s; open_file_cache max=8; client_max_body_size 16m;
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location = /intake { return 202 '{}'; }
    location / { root ${directory}; default_type application/json; try_files /answer.json =500; }
  }
}
`,
  )
  const log = join(directory, 'nginx.log')
  const process = startPinned(['nginx', '-p', directory, '-c', file], { core, log })
  await whenListening(port)
  return { port, process, [Symbol.asyncDispose]: process.stop }
}

/**
 * HAProxy: the signature (RS256), issuer, audience and expiry of the token on each request, the upstream's key set in
 * its place, one JSON line of access log per request into a file.
 */
export async function startHaproxy(of: {
  readonly directory: string
  readonly core: number
  readonly upstream: number
  readonly publicKeyFile: string
  readonly issuer: string
  readonly audience: string
}): Promise<Upstream> {
  const port = await freePort()
  const file = join(of.directory, 'haproxy.cfg')
  const fields = [
    '"time":"%tr"',
    '"client":"%ci:%cp"',
    '"subject":"%[var(txn.sub)]"',
    '"method":"%HM"',
    '"path":"%HP"',
    '"status":%ST',
    '"bytes":%B',
    '"request_ms":%TR',
    '"queue_ms":%Tw',
    '"connect_ms":%Tc',
    '"response_ms":%Tr',
    '"total_ms":%Ta',
    '"termination":"%tsc"',
    '"backend":"%b/%s"',
  ]
  await writeFile(
    file,
    `global
  nbthread 1
  maxconn 4096
  log stdout format raw local0
defaults
  mode http
  log global
  option http-keep-alive
  http-reuse always
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  log-format '{${fields.join(',')}}'
frontend in
  bind 127.0.0.1:${port}
  http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')
  http-request set-var(txn.iss) http_auth_bearer,jwt_payload_query('$.iss')
  http-request set-var(txn.aud) http_auth_bearer,jwt_payload_query('$.aud')
  http-request set-var(txn.sub) http_auth_bearer,jwt_payload_query('$.sub')
  http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.iss) -m str ${of.issuer} }
  http-request deny deny_status 401 unless { var(txn.aud) -m str ${of.audience} }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request deny deny_status 401 unless { http_auth_bearer,jwt_verify(txn.alg,"${of.publicKeyFile}") 1 }
  http-request del-header authorization
  http-request set-header dd-api-key 0123456789abcdef0123456789abcdef
  default_backend up
backend up
  server nginx 127.0.0.1:${of.upstream}
`,
  )
  const log = join(of.directory, 'haproxy.log')
  const process = startPinned(['haproxy', '-db', '-q', '-f', file], { core: of.core, log })
  await whenListening(port)
  return { port, process, [Symbol.asyncDispose]: process.stop }
}
