/**
 * Our judgement of Datadog's operations, applied when the catalogue is generated: how grave each is, and which of
 * them handle secrets that the names of their fields don't give away. Datadog's own `x-permission` is no measure of
 * it: reading a full API key needs `api_keys_read` alone.
 */
import type { Risk } from '../../../model/action.ts'

/** An operation as the client package describes it. */
export interface DescribedOperation {
  /** `v1.createDashboard`. */
  readonly name: string
  readonly method: string
  readonly tag: string
}

/**
 * Whoever may change these decides who may do what (identities, keys, roles, what outsiders see), or can blind those
 * who watch (where logs go, how long they stay, what is left in them, deletion of what was collected). All that
 * is not a read is `admin` here.
 */
const adminTags: ReadonlySet<string> = new Set([
  // Who there is, and how they prove it.
  'AuthNMappings',
  'CloudAuthentication',
  'CustomerOrg',
  'HighAvailabilityMultiRegion',
  'IdentityProviders',
  'KeyManagement',
  'OAuth2ClientPublic',
  'OrgAuthorizedClients',
  'OrgConnections',
  'OrgGroups',
  'Organizations',
  'ServiceAccounts',
  'UserAuthorizedClients',
  'Users',
  // What they may do and see, and from where.
  'DashboardSecureEmbed',
  'DashboardSharing',
  'Datasets',
  'DomainAllowlist',
  'ExecutionPolicy',
  'IPAllowlist',
  'LogsRestrictionQueries',
  'RestrictionPolicies',
  'Roles',
  // What is kept of the evidence.
  'DataDeletion',
  'LogsArchives',
  'LogsCustomDestinations',
  'LogsIndexes',
  'LogsPipelines',
  'SensitiveDataScanner',
])

/** The same, single operations of tags that are otherwise ordinary. */
const adminOperations: ReadonlySet<string> = new Set([
  'v1.createPublicDashboard',
  'v1.updatePublicDashboard',
  'v1.sendPublicDashboardInvitation',
  'v2.registerAppKey',
  'v2.unregisterAppKey',
  // Membership of a team gives what restriction policies grant to the team.
  'v2.addMemberTeam',
  'v2.addTeamHierarchyLink',
  'v2.createTeamConnections',
  'v2.createTeamMembership',
  'v2.syncTeams',
  'v2.updateTeamMembership',
  'v2.updateTeamPermissionSetting',
])

/** First words of the names of POSTs that only read. */
const readingVerb =
  /^v[12]\.(?:aggregate|bulkExport|check|convert|fetch|get|list|preview|query|search|test|validate)[A-Z]/

/** POSTs named like a read that make something. */
const notReads: ReadonlySet<string> = new Set([
  'v2.convertJobResultToSignal',
  'v2.getTestFileMultipartPresignedUrls',
])

/** Names of what ends or removes something without being a DELETE. */
const deletingVerb = /^v[12]\.(?:cancel|delete|purge|remove|revoke)[A-Z]/

/** GETs that make something. */
const writingGets: ReadonlySet<string> = new Set(['v2.generateCostTagDescriptionByKey'])

/** The gravest thing that this operation does. */
export function riskOf({ name, method, tag }: DescribedOperation): Risk {
  if (method === 'GET') return writingGets.has(name) ? 'write' : 'read'
  if (method === 'POST' && readingVerb.test(name) && !notReads.has(name)) return 'read'
  if (adminTags.has(tag) || adminOperations.has(name)) return 'admin'
  return method === 'DELETE' || deletingVerb.test(name) ? 'delete' : 'write'
}

/** Fields that hold a secret wherever they stand. */
const secretField =
  /^(?:.*_)?(?:api_?key|application_?key|api_secret|app_?key|access_token|auth_credentials|client_secret|client_token|credentials?|custom_headers|dd_api_key_secret|passphrase|password|private_key|secret|secrets|secret_access_key|service_key|share_token|token|webhookSecret)$/i

/** Models whose `key` is the secret itself; elsewhere `key` is the name of something. */
const keyModels = /^(?:ApiKey|Full\w*(?:Key|Token)Attributes)$/

/** Models of paging, whose `token` says where the next page begins: masking it would break the client. */
const pagingModels = /Meta|Page|Paging|Pagination|Cursor/

/** Whether this field of this model holds a secret. */
export function isSecretField(model: string, field: string): boolean {
  if (field === 'token' && pagingModels.test(model)) return false
  if (field === 'key') return keyModels.test(model)
  if (field === 'hash') return model === 'ApplicationKey' // v1: the application key by another name
  return secretField.test(field)
}

/** Operations that carry secrets in fields of innocent names: values, URLs, payloads. */
export const alsoSecret: ReadonlySet<string> = new Set([
  'v1.createGlobalVariable',
  'v1.editGlobalVariable',
  'v1.getGlobalVariable',
  'v1.listGlobalVariables',
  'v1.createWebhooksIntegrationCustomVariable',
  'v1.getWebhooksIntegrationCustomVariable',
  'v1.updateWebhooksIntegrationCustomVariable',
])
