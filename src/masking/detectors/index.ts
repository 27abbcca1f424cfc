/** Every detector, and the two groups that profiles name. */
import { authorization, awsSecretKey, datadogKeys, urlPassword } from './credentials-in-text.ts'
import type { Detector } from './detector.ts'
import { email } from './email.ts'
import { iban, phone, usSsn } from './identity-numbers.ts'
import { ipAddress } from './ip-address.ts'
import { jwt } from './jwt.ts'
import { keyValues } from './key-values.ts'
import { paymentCard } from './payment-card.ts'
import { azureClientSecret, prefixedTokens } from './prefixed-tokens.ts'
import { privateKey } from './private-key.ts'

const secretDetectors: readonly Detector[] = [
  prefixedTokens,
  azureClientSecret,
  jwt,
  privateKey,
  datadogKeys,
  awsSecretKey,
  urlPassword,
  authorization,
  keyValues,
]

const kindsOf = (detectors: readonly Detector[]): readonly string[] =>
  [...new Set(detectors.flatMap(detector => detector.kinds))].toSorted()

export const detectorGroups = {
  secrets: kindsOf(secretDetectors),
  personal: kindsOf([email, phone('US'), paymentCard, iban, usSsn, ipAddress]),
} as const

/** The kinds that configuration may name. */
export const detectorKinds: readonly string[] = [...detectorGroups.secrets, ...detectorGroups.personal]

/** The detectors that can find any of these kinds. */
export function detectorsFor(kinds: ReadonlySet<string>, phoneRegion: string): readonly Detector[] {
  const all = [...secretDetectors, email, phone(phoneRegion), paymentCard, iban, usSsn, ipAddress]
  return all.filter(detector => detector.kinds.some(kind => kinds.has(kind)))
}
