/**
 * Signs with HashiCorp Vault's transit engine, or OpenBao's: the private key never leaves it. The version is pinned, as
 * a verifier key is of one version; a new one is a key of its own beside the old.
 */
import { createPublicKey } from 'node:crypto'
import { noteSignerOf, type NoteSigner } from './note.ts'

export interface VaultKey {
  /** Such as `https://vault.example.com:8200`. */
  readonly address: string
  /** Name of an `ed25519` key in the transit engine. */
  readonly key: string
  /** Where the engine is mounted. */
  readonly mount: string
  /** Default: the latest when the gateway starts. */
  readonly version?: number | undefined
  readonly namespace?: string | undefined
}

const timeoutMs = 5000

/** `token` is asked for each call, so that one that is renewed is taken up. Throws where Vault gives no such key. */
export async function vaultSigner(
  name: string,
  of: VaultKey,
  token: () => string | Promise<string>,
): Promise<NoteSigner> {
  const call = async (path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const base = of.address.endsWith('/') ? of.address : `${of.address}/`
    const response = await fetch(new URL(`v1/${of.mount}/${path}`, base), {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        'x-vault-token': await token(),
        'x-vault-request': 'true',
        ...(of.namespace === undefined ? {} : { 'x-vault-namespace': of.namespace }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    // Its errors may repeat what was sent; the status is enough to look for the reason in its own audit log.
    const answer = (await response.json().catch(() => ({}))) as { data?: Record<string, unknown> }
    if (!response.ok || answer.data === undefined) throw new Error(`Vault answered ${response.status}`)
    return answer.data
  }
  const key = encodeURIComponent(of.key)
  const { type, latest_version: latest, keys } = await call(`keys/${key}`)
  if (type !== 'ed25519') throw new Error(`the key in Vault is of type ${String(type)}, not ed25519`)
  const version = of.version ?? Number(latest)
  const { public_key: encoded } = ((keys as Record<string, unknown>)[version] ?? {}) as Record<
    string,
    unknown
  >
  const raw = Buffer.from(String(encoded), 'base64')
  if (raw.length !== 32) throw new Error(`Vault gives no public key of version ${version}`)
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
  return noteSignerOf(name, publicKey, async text => {
    const input = Buffer.from(text).toString('base64')
    const { signature } = await call(`sign/${key}`, { input, key_version: version })
    const [scheme, by, value = ''] = String(signature).split(':')
    const bytes = Buffer.from(value, 'base64')
    if (scheme !== 'vault' || by !== `v${version}` || bytes.length !== 64)
      throw new Error('Vault gave something else than a signature')
    return bytes
  })
}
