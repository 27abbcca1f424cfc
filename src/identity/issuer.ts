import { compactVerify, errors } from 'jose'
import type { Clock } from '../clock.ts'
import type { IssuerConfig } from '../config/identity.ts'
import type { Subject } from '../model/subject.ts'
import type { Refusal } from './authenticator.ts'
import { claimIsOneOf } from './claim.ts'
import {
  audiencesOf,
  checkClaims,
  checkRequired,
  checkValidity,
  type Validity,
  validityOf,
} from './check-claims.ts'
import { refuse, type UnverifiedJwt } from './jwt.ts'
import type { KeySet, VerificationKey } from './key-set.ts'
import { subjectOf } from './subject-of.ts'

/** What the issuer has signed and holds now. */
export interface Signed {
  readonly validity: Validity
  readonly key: VerificationKey
}

/** A token that was verified, with all that must still hold when it is shown again. */
export interface Verified extends Signed {
  readonly subject: Subject
  /** It names no audience of the configuration, so that it counts only at an address that it does name. */
  readonly bound: boolean
}

/** Without a `kid`, so many keys are tried at most. */
const maxCandidates = 8

/** Verifies the tokens of one issuer. */
export class Issuer {
  readonly config: IssuerConfig
  readonly keys: KeySet
  readonly #clock: Clock
  readonly #algorithms: ReadonlySet<string>

  constructor(config: IssuerConfig, keys: KeySet, clock: Clock) {
    this.config = config
    this.keys = keys
    this.#clock = clock
    this.#algorithms = new Set(config.algorithms)
  }

  /**
   * Header, then signature, then claims: a reason about a claim is given for tokens that the issuer really made.
   * Throws `identity-unavailable` where the keys cannot be had.
   */
  async verify(jwt: UnverifiedJwt): Promise<Verified | { readonly refusal: Refusal }> {
    const signed = await this.#signed(jwt)
    if ('refusal' in signed) return signed
    const { claims } = jwt
    const reason = checkClaims(claims, this.config)
    if (reason !== undefined) return refuse(reason, claims)
    const subject = subjectOf(claims, this.config, signed.validity.expiresAt)
    if (typeof subject === 'string') return refuse(subject, claims)
    return { ...signed, subject, bound: !claimIsOneOf(audiencesOf(claims), this.config.audience) }
  }

  /**
   * The same for an assertion that is not a token: its only audience is one of these spellings. Says nothing of whom it is
   * about.
   */
  async verifyAssertion(
    jwt: UnverifiedJwt,
    audiences: readonly string[],
  ): Promise<Signed | { readonly refusal: Refusal }> {
    const signed = await this.#signed(jwt)
    if ('refusal' in signed) return signed
    const { claims } = jwt
    const [only, ...others] = audiencesOf(claims)
    if (only === undefined || !audiences.includes(only) || others.length > 0)
      return refuse('audience-mismatch', claims)
    if (claims['cnf'] !== undefined) return refuse('proof-required', claims)
    const reason = checkRequired(claims, this.config)
    return reason === undefined ? signed : refuse(reason, claims)
  }

  async #signed(jwt: UnverifiedJwt): Promise<Signed | { readonly refusal: Refusal }> {
    const { claims } = jwt
    if (jwt.token.length > this.config.max_token_bytes) return refuse('token-too-large', claims)
    if (!this.#algorithms.has(jwt.alg)) return refuse('algorithm-refused', claims)
    const candidates = await this.keys.find(jwt.alg, jwt.kid)
    if (candidates.length === 0) return refuse('key-unknown', claims)
    const key = await firstThatVerifies(jwt, candidates.slice(0, maxCandidates))
    if (key === undefined) return refuse('signature-invalid', claims)
    const validity = validityOf(claims, this.config.clock_skew)
    if (typeof validity === 'string') return refuse(validity, claims)
    const reason = checkValidity(validity, this.#clock.now())
    return reason === undefined ? { validity, key } : refuse(reason, claims)
  }
}

async function firstThatVerifies(
  jwt: UnverifiedJwt,
  candidates: readonly VerificationKey[],
): Promise<VerificationKey | undefined> {
  for (const key of candidates) {
    try {
      await compactVerify(jwt.token, await key.import(jwt.alg), { algorithms: [jwt.alg] })
      return key
    } catch (error) {
      if (!isAboutTheToken(error)) throw error
    }
  }
  return undefined
}

/** jose says TypeError for keys that are too weak or not fit, DOMException for broken material. */
function isAboutTheToken(error: unknown): boolean {
  return error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException
}
