/**
 * Tokens that are given for assertions. What a token stands for is sealed in it (AES-256-GCM), so that nothing has to be
 * kept and nobody but this gateway can read or make one:
 *
 *   spa_ | base64url(nonce, tag, sealed JSON)
 *
 * Whether its client and its issuer are still configured is asked each time it is shown.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { AssertionsConfig } from '../../config/assertions.ts'
import type { IssuerConfig } from '../../config/identity.ts'
import type { Identified, PresentedCredential } from '../authenticator.ts'
import { type Claims, refuse } from '../jwt.ts'
import { subjectOf } from '../subject-of.ts'

export const assertedTokenPrefix = 'spa_'
const purpose = Buffer.from('token for an assertion, 1')
const longestToken = 32 * 1024

interface Sealed {
  readonly claims: Claims
  readonly resources: readonly string[]
  readonly client: string
  readonly expiresAt: number
}

export class AssertedTokens {
  readonly #key: Buffer
  readonly #issuers: ReadonlyMap<string, IssuerConfig>
  readonly #clients: ReadonlyMap<string, AssertionsConfig['clients'][number]>
  readonly #clock: Clock

  constructor(of: {
    readonly key: Buffer
    readonly issuers: readonly IssuerConfig[]
    readonly clients: AssertionsConfig['clients']
    readonly clock: Clock
  }) {
    this.#key = of.key
    this.#issuers = new Map(of.issuers.map(each => [each.issuer, each]))
    this.#clients = new Map(of.clients.map(each => [each.id, each]))
    this.#clock = of.clock
  }

  make(sealed: Sealed): string {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(purpose)
    const body = Buffer.concat([cipher.update(JSON.stringify(sealed), 'utf8'), cipher.final()])
    return assertedTokenPrefix + Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')
  }

  recognizes({ token }: PresentedCredential): boolean {
    return token.startsWith(assertedTokenPrefix)
  }

  identify({ token, resource }: PresentedCredential): Identified {
    if (token.length > longestToken) return refuse('token-too-large')
    const sealed = this.#open(token.slice(assertedTokenPrefix.length))
    if (sealed === undefined) return refuse('token-unknown')
    const { claims, resources, client, expiresAt } = sealed
    if (this.#clock.now() >= expiresAt) return refuse('token-expired', claims)
    const issuer = this.#issuers.get(String(claims['iss']))
    const known = issuer !== undefined && this.#clients.get(client)?.issuers.includes(issuer.name) === true
    if (!known) return refuse('client-refused', claims)
    if (resource === undefined || !resources.includes(resource)) return refuse('audience-mismatch', claims)
    const subject = subjectOf(claims, issuer, expiresAt)
    return typeof subject === 'string' ? refuse(subject, claims) : { subject: Object.freeze(subject) }
  }

  #open(text: string): Sealed | undefined {
    const bytes = Buffer.from(text, 'base64url')
    // One token has one spelling.
    if (bytes.length < 29 || bytes.toString('base64url') !== text) return undefined
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, 12), {
        authTagLength: 16,
      })
        .setAAD(purpose)
        .setAuthTag(bytes.subarray(12, 28))
      const body = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()])
      return JSON.parse(body.toString('utf8')) as Sealed
    } catch {
      return undefined
    }
  }
}
