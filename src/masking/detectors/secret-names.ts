/** Which names of fields, variables and headers say that their value is secret. */
import { remembering } from '../remembering.ts'

const endings =
  /(?:password|passwd|passphrase|pwd|secret|secretkey|apikey|appkey|applicationkey|privatekey|accesskey|accountkey|sharedaccesskey|signingkey|encryptionkey|servicekey|masterkey|(?:access|refresh|id|auth|api|bearer|session|client|security|share|oauth|private|deploy|bot|user|webhook|csrf|xsrf)token)$/
/** The last byte of every such name: most others are done with here. */
const couldEnd = /[deknstyDEKNSTY\d_.-]$/
const whole = new Set([
  'token',
  'authorization',
  'proxyauthorization',
  'pass',
  'passcode',
  'pgpassword',
  'dbpass',
])

/** Values that only stand for a secret: masks, templates, words for nothing. */
const placeholder =
  /^(?:\[(?:masked|hash):[a-z0-9-]{1,64}(?::[A-Za-z0-9]{1,16})?\]|\*+|[xX]+|null|none|nil|true|false|undefined|\$\{[^}]*\}|\{\{[^}]*\}\}|<[A-Za-z_ -]+>|%s)$/

const longestName = 64

/** The name without case and separators, `DB_Password2` as `dbpassword`. */
export function normalizedName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '')
    .replace(/\d+$/, '')
}

const isSecretOf = remembering(name => {
  const normalized = normalizedName(name)
  return whole.has(normalized) || endings.test(normalized)
})

/** True where a field of this name holds a secret: `db_password`, `clientSecret`, `X-Api-Key`, but not `next_token`. */
export function isSecretName(name: string): boolean {
  return name.length >= 3 && name.length <= longestName && couldEnd.test(name) && isSecretOf(name)
}

export function isPlaceholder(value: string): boolean {
  return value.length === 0 || placeholder.test(value)
}

const hex32 = /^[0-9a-f]{32}$/i
const hex40 = /^[0-9a-f]{40}$/i

/** What kind of secret a field of this name and value is. */
export function kindOfSecret(name: string, value: string): string {
  const normalized = normalizedName(name)
  if (/(?:apikey|ddkey)$/.test(normalized) && hex32.test(value)) return 'datadog-api-key'
  if (/(?:appkey|applicationkey)$/.test(normalized) && hex40.test(value)) return 'datadog-app-key'
  if (normalized.endsWith('secretaccesskey')) return 'aws-secret-key'
  if (/(?:accountkey|sharedaccesskey)$/.test(normalized)) return 'azure-storage-key'
  if (normalized.endsWith('authorization')) return 'authorization'
  return 'secret'
}
