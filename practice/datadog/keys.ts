/** The credentials of the practice Datadog, and which operation takes which. They are public on purpose. */
import type { IncomingHttpHeaders } from 'node:http'
import type { CredentialKind } from '../../src/protocols/http/datadog/catalogue.ts'
import { practiceApiKey } from './intake.ts'
import { hex, type PracticeState, uuid } from './state.ts'

export interface PracticeKeys {
  readonly apiKey: string
  readonly appKey: string
  /** A service access token: alone in `DD-APPLICATION-KEY`, or as a bearer. */
  readonly accessToken: string
}

export const practiceKeys: PracticeKeys = {
  apiKey: practiceApiKey,
  appKey: '0123456789abcdef0123456789abcdef01234567',
  accessToken: `ddsat_practice_${hex('access token', 40)}`,
}

/** The status to refuse with: 401 without a credential, 403 with a wrong one; undefined where it may. */
export function mayCall(
  state: PracticeState,
  kind: CredentialKind,
  from: { readonly headers: IncomingHttpHeaders; readonly query: URLSearchParams },
): 401 | 403 | undefined {
  if (kind === 'none') return undefined
  const { headers, query } = from
  const apiKey = header(headers, 'dd-api-key') ?? query.get('api_key') ?? undefined
  const appKey =
    header(headers, 'dd-application-key') ?? query.get('application_key') ?? query.get('app_key') ?? undefined
  const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
  if (kind === 'api-key') return apiKey === undefined ? 401 : isApiKey(state, apiKey) ? undefined : 403
  if (bearer !== undefined) return bearer === practiceKeys.accessToken ? undefined : 403
  if (kind === 'oauth') return 401
  if (appKey === practiceKeys.accessToken) return undefined // then the API key is not looked at
  if (apiKey === undefined || appKey === undefined) return 401
  return isApiKey(state, apiKey) && isAppKey(state, appKey) ? undefined : 403
}

/** Id of the API key that a request came with, as the audit trail has it; undefined where it came with none of ours. */
export function apiKeyId(
  state: PracticeState,
  from: { readonly headers: IncomingHttpHeaders; readonly query: URLSearchParams },
): string | undefined {
  const key = header(from.headers, 'dd-api-key') ?? from.query.get('api_key') ?? undefined
  if (key === practiceKeys.apiKey) return practiceKeyId
  return [...state.apiKeys.values()].find(each => each.secret === key)?.id
}

/** Of the organisation's own key, which is in no list. */
export const practiceKeyId = uuid('practice api key')

/** Whether this API key is one of the organisation's, those made since included. */
export function isApiKey(state: PracticeState, key: string): boolean {
  return key === practiceKeys.apiKey || [...state.apiKeys.values()].some(each => each.secret === key)
}

function isAppKey(state: PracticeState, key: string): boolean {
  return key === practiceKeys.appKey || [...state.applicationKeys.values()].some(each => each.secret === key)
}

function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}
