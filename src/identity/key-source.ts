/**
 * Where an issuer's keys come from: a file, an address, or discovery (OpenID Connect Discovery 1.0 section 4, RFC 8414
 * section 3). A token never has a say in it: `jku` and `x5u` are not even read.
 */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isLoopbackHost, type IssuerConfig } from '../config/identity.ts'
import { createFetchDocument, type FetchDocument, StatusError } from './fetch-document.ts'

export interface KeySource {
  /** The issuer's JWK set, unchecked. Rejects with an Error that says why it cannot be had. */
  load(): Promise<unknown>
  close(): Promise<void>
}

const maxDocumentBytes = 512 * 1024
/** Discovery is repeated this often, and whenever the keys are not where it said. */
const discoveryMaxAgeMs = 3_600_000

/** `base`: where relative paths of the configuration start. */
export function createKeySource(
  config: IssuerConfig,
  options: { readonly base?: string; readonly fetchDocument?: FetchDocument; now(): number },
): KeySource {
  const inBase = (path: string): string => resolve(options.base ?? '.', path)
  if (config.jwks_file !== undefined) {
    const file = inBase(config.jwks_file)
    return { load: () => readKeyFile(file), close: () => Promise.resolve() }
  }
  const ca = config.ca === undefined ? {} : { ca: inBase(config.ca) }
  const fetchDocument = options.fetchDocument ?? createFetchDocument(ca)
  const limits = { maxBytes: maxDocumentBytes, timeoutMs: config.keys.timeout }
  const close = () => fetchDocument.close()
  if (config.jwks_uri !== undefined) {
    const url = new URL(config.jwks_uri)
    return { load: () => fetchDocument(url, limits), close }
  }
  let found: { readonly url: URL; readonly at: number } | undefined
  return {
    async load() {
      if (found === undefined || options.now() - found.at > discoveryMaxAgeMs) {
        found = { url: await discover(config, url => fetchDocument(url, limits)), at: options.now() }
      }
      try {
        return await fetchDocument(found.url, limits)
      } catch (error) {
        found = undefined
        throw error
      }
    },
    close,
  }
}

/** The two well-known places, the OpenID one first. The document must name exactly the configured issuer. */
async function discover(config: IssuerConfig, get: (url: URL) => Promise<unknown>): Promise<URL> {
  const issuer = new URL(config.issuer)
  const path = issuer.pathname.replace(/\/$/, '')
  const openid = new URL(`${issuer.origin}${path}/.well-known/openid-configuration`)
  const oauth = new URL(`${issuer.origin}/.well-known/oauth-authorization-server${path}`)
  const document = await get(openid).catch((error: unknown) => {
    if (error instanceof StatusError && error.status === 404) return get(oauth)
    throw error
  })
  const found = document as { readonly issuer?: unknown; readonly jwks_uri?: unknown } | null
  if (found?.issuer !== config.issuer) throw new Error('the discovery document names another issuer')
  const url = typeof found.jwks_uri === 'string' ? URL.parse(found.jwks_uri) : null
  if (url === null) throw new Error('the discovery document has no usable jwks_uri')
  const plain = url.protocol === 'http:' && (isLoopbackHost(url.hostname) || config.allow_insecure_http)
  if (url.protocol !== 'https:' && !plain)
    throw new Error('the discovery document names a jwks_uri without TLS')
  return url
}

async function readKeyFile(file: string): Promise<unknown> {
  const bytes = await readFile(file)
  if (bytes.length > maxDocumentBytes) throw new Error(`larger than ${maxDocumentBytes} bytes`)
  return JSON.parse(bytes.toString('utf8')) as unknown
}
