/** What Datadog's API makes of HTTP: operations by name, a host and a credential for each, and masks by default. */
import { GatewayError } from '../../../errors.ts'
import {
  type Flavour,
  type HttpOperation,
  type HttpTarget,
  type Injection,
  type PreviewPlan,
  type Problem,
  type UpstreamBase,
  upstreamBase,
} from '../flavour.ts'
import {
  type CredentialKind,
  type DatadogOperation,
  findOperation,
  type HostKind,
  type Match,
} from './catalogue.ts'
import { inverseOf } from './inverse.ts'
import { type DatadogSettings, hostUrls } from './settings.ts'

/** The mask profile that operations which handle secrets get, in `masking/builtin-profiles.ts`. */
const secretsProfile = 'datadog-secrets'

/** An operation, and what `inject` must know of it. */
interface NamedOperation extends HttpOperation {
  readonly credentials: CredentialKind
}

/** Builds the flavour of one connection. Throws TypeError for URLs that are no base. */
export function datadogFlavour(settings: DatadogSettings): Flavour {
  const bases = basesOf(settings)
  const mask = settings.mask_secrets ? { mask: [secretsProfile] } : {}
  const known = (match: Match): NamedOperation => ({
    ...fixedPart(match.operation),
    params: match.operation.secretPath ? withoutSecrets(match.params) : match.params,
    upstream: bases[match.operation.host],
    ...(match.operation.takesSecrets || match.operation.returnsSecrets || match.operation.secretPath
      ? mask
      : {}),
  })
  const unknown = ({ method, path }: HttpTarget): NamedOperation => {
    const shown = withoutKeys(path)
    return {
      operation: `${method} ${shown}`,
      params: {},
      known: false,
      risk: isSafe(method) ? 'read' : 'admin', // what can't be named may be the gravest thing there is
      upstream: bases.api,
      credentials: 'keys',
      ...mask,
      ...(shown === path ? {} : { resource: shown }),
    }
  }
  return {
    settings,
    credentials: {
      headers: ['authorization', 'dd-api-key', 'dd-application-key'],
      query: ['api_key', 'application_key', 'app_key'],
    },
    injects: { headers: ['authorization', 'dd-api-key', 'dd-application-key'], query: [] },
    keepsEscapes: true,
    operationOf(target): NamedOperation {
      const match = findOperation(target.method, target.path)
      return match === undefined ? unknown(target) : known(match)
    },
    inject: (operation, secrets) => inject(kindOf(operation), secrets),
    // The rarer hosts are left out: a firewall that never lets them through is no fault of the connection.
    upstreams: [...new Set([bases.api, bases['http-intake.logs'], bases['event-management-intake']])],
    previewOf,
    inverseOf,
    problemMembers: problem => ({ errors: [textOf(problem)] }),
  }
}

/** What Datadog changes in a resource by itself, or with every change of anything else. */
const volatile = ['modified', 'modified_at']
const volatileOfMonitors = [
  ...volatile,
  'matching_downtimes',
  'overall_state',
  'overall_state_modified',
  'state',
]

/** Datadog's paths name resources: what a PUT, PATCH or DELETE acts on, a GET of the same path gives. */
function previewOf(operation: HttpOperation, { method, path }: HttpTarget): PreviewPlan | undefined {
  if (!operation.known || operation.template === undefined) return undefined
  if (method === 'POST')
    return /^v[12]\.create[A-Z]/.test(operation.operation) ? { kind: 'create' } : undefined
  if (method !== 'PUT' && method !== 'PATCH' && method !== 'DELETE') return undefined
  const read = findOperation('GET', path)?.operation
  // A path without parameters is a collection; changing it says nothing of all that is in it.
  if (read?.template !== operation.template || read.risk !== 'read' || !read.template.endsWith('}'))
    return undefined
  const kind = method === 'DELETE' ? 'delete' : 'update'
  const isMonitor = operation.template.startsWith('/api/v1/monitor/')
  return { kind, path, volatile: isMonitor ? volatileOfMonitors : volatile }
}

/** One base for each distinct URL, so that hosts behind one address share its pool. */
function basesOf(settings: DatadogSettings): Record<HostKind, UpstreamBase> {
  const made = new Map<string, UpstreamBase>()
  const urls = hostUrls(settings)
  return Object.fromEntries(
    Object.entries(urls).map(([kind, url]) => {
      const base = made.get(url) ?? upstreamBase(url)
      made.set(url, base)
      return [kind, base]
    }),
  ) as Record<HostKind, UpstreamBase>
}

function fixedPart(of: DatadogOperation) {
  return {
    operation: of.name,
    template: of.template,
    known: true,
    risk: of.risk,
    facts: { tag: of.tag, ...(of.unstable ? { unstable: true } : {}) },
    credentials: of.credentials,
    ...(of.secretPath ? { resource: of.template } : {}),
  }
}

function withoutSecrets(params: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(params).filter(([name]) => name !== 'key' && name !== 'token'))
}

/** Datadog's keys and tokens by their shape: API, application, personal and service access, client token. */
const keyShape = /^(?:[0-9a-f]{32}|[0-9a-f]{40}|dd(?:app|pat|sat)_.+|pub[0-9a-f]{32})$/i

/** The path of an operation that nobody knows, with `{key}` for each segment that looks like a key. */
function withoutKeys(path: string): string {
  return path
    .split('/')
    .map(segment => (keyShape.test(segment) ? '{key}' : segment))
    .join('/')
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

function kindOf(operation: HttpOperation): CredentialKind {
  return (operation as Partial<NamedOperation>).credentials ?? 'keys'
}

function inject(kind: CredentialKind, secrets: Readonly<Record<string, string>>): Injection {
  switch (kind) {
    case 'none':
      return {}
    case 'api-key':
      return { headers: [['DD-API-KEY', needed(secrets, 'api_key')]] }
    case 'oauth':
      return { headers: [['Authorization', `Bearer ${needed(secrets, 'access_token')}`]] }
    case 'keys': {
      const token = secrets['access_token']
      if (token === undefined)
        return {
          headers: [
            ['DD-API-KEY', needed(secrets, 'api_key')],
            ['DD-APPLICATION-KEY', needed(secrets, 'app_key')],
          ],
        }
      // Personal and service access tokens stand alone in this header; other tokens are OAuth's.
      if (/^dd(?:pat|sat)_/.test(token)) return { headers: [['DD-APPLICATION-KEY', token]] }
      return { headers: [['Authorization', `Bearer ${token}`]] }
    }
  }
}

function needed(secrets: Readonly<Record<string, string>>, name: string): string {
  const value = secrets[name]
  if (value !== undefined && value !== '') return value
  const instead = name === 'app_key' ? '`app_key` or `access_token`' : `\`${name}\``
  throw new GatewayError('credential-unavailable', {
    detail: `the connection's credential has no ${instead}, which this operation needs`,
  })
}

/** Datadog's clients show the strings of `errors`, so everything a person needs is in one. */
function textOf({ title, detail, rule, instance }: Problem): string {
  const where = [
    ...(typeof rule === 'string' ? [`rule ${rule}`] : []),
    ...(typeof instance === 'string' ? [`entry ${instance}`] : []),
  ]
  const said = detail === undefined ? title : `${title}: ${detail}`
  return where.length === 0 ? said : `${said} (${where.join(', ')})`
}
