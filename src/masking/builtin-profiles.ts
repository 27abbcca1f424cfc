import { detectorGroups } from './detectors/index.ts'

/** A profile that needs no configuration. */
export interface BuiltinProfile {
  readonly description: string
  readonly detectors: readonly string[]
  readonly keys: readonly string[]
  /** Keys whose value is masked only where it looks like a key of Datadog: 32 or 40 hexadecimal digits. */
  readonly hexKeys: readonly string[]
  readonly headers: readonly string[]
  readonly parameters: readonly string[]
}

const credentialHeaders = [
  'authorization',
  'proxy-authorization',
  'cookie',
  '*-api-key',
  '*-application-key',
  'api-key',
  'x-auth-token',
  'x-amz-security-token',
  'private-token',
  'job-token',
]

const credentialParameters = [
  'api_key',
  'apikey',
  'application_key',
  'app_key',
  'access_token',
  'token',
  'client_secret',
  'password',
  'code_verifier',
  'x-amz-signature',
  'x-amz-security-token',
  'sig',
]

export const builtinProfiles: Readonly<Record<string, BuiltinProfile>> = {
  secrets: {
    description: 'Every secret detector, and the headers and parameters that carry credentials',
    detectors: detectorGroups.secrets,
    keys: [],
    hexKeys: [],
    headers: credentialHeaders,
    parameters: credentialParameters,
  },
  personal: {
    description: 'Every detector of personal data',
    detectors: detectorGroups.personal,
    keys: [],
    hexKeys: [],
    headers: [],
    parameters: [],
  },
  'datadog-secrets': {
    description:
      'What Datadog operations return that is secret, by the names of their fields, and every secret detector',
    detectors: detectorGroups.secrets,
    keys: [
      'api_key',
      'apiKey',
      'app_key',
      'appKey',
      'application_key',
      'applicationKey',
      '*_api_key',
      '*_api_key_secret',
      'api_secret',
      'api_token',
      'apiToken',
      'access_token',
      'accessToken',
      'refresh_token',
      'share_token',
      'client_token',
      'clientToken',
      'client_secret',
      'clientSecret',
      'secret',
      'secrets',
      '*_secret',
      'secret_access_key',
      'secretAccessKey',
      'secretKey',
      'secret_key',
      'service_key',
      'private_key',
      'privateKey',
      'private_key_passphrase',
      'password',
      'webhookSecret',
      'custom_headers',
      'customHeaders',
      'credential',
      'credentials',
      'auth_credentials',
      'token',
      'public_url',
      'sessionToken',
    ],
    hexKeys: ['key', 'hash', 'value'],
    headers: credentialHeaders,
    parameters: credentialParameters,
  },
}
