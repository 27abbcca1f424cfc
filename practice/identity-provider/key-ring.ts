import { exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose'

export interface SigningKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly publicJwk: JWK
}

/** The practice issuer's keys: the last one made signs, all that were kept are published. */
export interface KeyRing {
  readonly current: SigningKey
  /** The document served at `jwks_uri`. */
  jwks(): { keys: JWK[] }
  /** Makes a new signing key. The earlier ones stay published unless `forget` is set. */
  rotate(options?: { readonly forget?: boolean; readonly alg?: string }): Promise<SigningKey>
}

/** `alg`: RS256, PS256, ES256, EdDSA and their longer forms. */
export async function createKeyRing(alg: string): Promise<KeyRing> {
  let made = 0
  let keys: SigningKey[] = []
  async function rotate(options: { readonly forget?: boolean; readonly alg?: string } = {}) {
    const chosen = options.alg ?? alg
    const pair = await generateKeyPair(chosen, { extractable: true })
    const kid = `practice-${++made}`
    const publicJwk = { ...(await exportJWK(pair.publicKey)), kid, alg: chosen, use: 'sig' }
    const key = { kid, alg: chosen, privateKey: pair.privateKey, publicJwk }
    keys = options.forget ? [key] : [...keys, key]
    return key
  }
  await rotate()
  return {
    get current() {
      return keys.at(-1)!
    },
    jwks: () => ({ keys: keys.map(key => key.publicJwk) }),
    rotate,
  }
}
