/**
 * Clients known by a certificate (mutual TLS, RFC 8446 section 4.4.2). TLS verifies the chain; here it is asked again, at
 * each use, what may have changed since or what TLS does not ask: is it within its time, made for clients (RFC 5280
 * section 4.2.1.12), of an authority that is trusted now, and does it name exactly one subject.
 */
import { X509Certificate } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { CertificateConfig } from '../config/certificates.ts'
import type { Authenticator, Identified, Refusal } from './authenticator.ts'
import type { RefusalReason } from './refusals.ts'
import { type ShownCertificate, shownCertificate } from './shown-certificate.ts'

/** An entry of `identity.certificates` with its file read. */
export interface CertificateIssuer {
  readonly config: CertificateConfig
  /** PEM: one or more. */
  readonly ca: string
}

const clientAuthentication = '1.3.6.1.5.5.7.3.2'
const longestId = 1024

interface Trusted {
  readonly config: CertificateConfig
  readonly authorities: readonly X509Certificate[]
}

/** Prefix of the issuer of subjects known by certificate, so that no token's issuer can be the same. */
export const certificateIssuerPrefix = 'certificate:'

export class ClientCertificates {
  readonly #issuers: ReadonlyMap<string, Trusted>
  readonly #clock: Clock

  /** Throws where a file holds no certificate. */
  constructor(issuers: readonly CertificateIssuer[], clock: Clock) {
    this.#issuers = new Map(
      issuers.map(({ config, ca }) => [config.name, { config, authorities: certificatesOf(ca) }]),
    )
    this.#clock = clock
  }

  identify(shown: ShownCertificate): Identified {
    const { leaf } = shown
    const trusted = this.#issuers.get(shown.issuer)
    const refuse = (reason: RefusalReason): { refusal: Refusal } => ({
      refusal: { reason, claimed: { issuer: clipped(leaf.issuer), subject: clipped(leaf.subject) } },
    })
    if (trusted === undefined) return refuse('certificate-untrusted')
    if (shown.problem !== undefined) return refuse(reasonOf(shown.problem))
    const now = this.#clock.now()
    const [from, until] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)]
    if (!(from <= now && now < until)) return refuse('certificate-expired')
    if (leaf.ca || leaf.keyUsage?.includes(clientAuthentication) !== true)
      return refuse('certificate-purpose')
    if (!isUnder(shown, trusted.authorities)) return refuse('certificate-untrusted')
    const names = namesOf(leaf)
    const { name, id: source, kind, groups } = trusted.config
    const found = names[source]
    // Of several names one would be chosen by chance.
    if (found.length !== 1 || !isPlain(found[0]!)) return refuse('certificate-name')
    const [id] = found
    return {
      subject: {
        issuer: `${certificateIssuerPrefix}${name}`,
        id: id!,
        kind,
        groups,
        method: 'certificate',
        ...(source === 'email' ? { email: id! } : {}),
        claims: {
          ...names,
          serial: leaf.serialNumber.toLowerCase(),
          fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
        },
        expiresAt: until,
      },
    }
  }
}

/**
 * Who a client is by what it has shown in its handshake; undefined: it has shown nothing. A certificate that does not
 * hold is refused whatever else the client brings.
 */
export function identifyShown(authenticator: Authenticator, socket: object): Identified | undefined {
  const shown = shownCertificate(socket)
  if (shown === undefined) return undefined
  return authenticator.identifyCertificate?.(shown) ?? { refusal: { reason: 'certificate-untrusted' } }
}

/** Whether the chain that TLS has built ends in, or passes by, an authority that is trusted now. */
function isUnder({ leaf, authorities }: ShownCertificate, trusted: readonly X509Certificate[]): boolean {
  if (trusted.some(each => authorities.some(({ fingerprint256 }) => fingerprint256 === each.fingerprint256)))
    return true
  const top = authorities.at(-1) ?? leaf
  return trusted.some(each => top.checkIssued(each) && top.verify(each.publicKey))
}

function reasonOf(problem: string): RefusalReason {
  if (problem === 'CERT_HAS_EXPIRED' || problem === 'CERT_NOT_YET_VALID') return 'certificate-expired'
  if (problem === 'CERT_REVOKED') return 'certificate-revoked'
  return problem === 'INVALID_PURPOSE' ? 'certificate-purpose' : 'certificate-untrusted'
}

/** What the certificate calls its subject, by where that stands. */
function namesOf(leaf: X509Certificate): Record<CertificateConfig['id'], readonly string[]> {
  const alternative = alternativeNames(leaf.subjectAltName ?? '')
  const of = (type: string): readonly string[] =>
    alternative.filter(([of]) => of === type).map(([, it]) => it)
  const { CN: common } = leaf.toLegacyObject().subject as { CN?: string | string[] }
  return {
    uri: of('URI'),
    email: of('email'),
    dns: of('DNS'),
    'common-name': common === undefined ? [] : [common].flat(),
  }
}

/** Node writes what could be taken for several names as a JSON string (CVE-2021-44532). */
function alternativeNames(text: string): (readonly [type: string, name: string])[] {
  return [...text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(([, type, name]) => [
    type!,
    name!.startsWith('"') ? (JSON.parse(name!) as string) : name!,
  ])
}

function isPlain(id: string): boolean {
  return id.length > 0 && id.length <= longestId && !/\p{C}/u.test(id)
}

function clipped(name: string): string {
  return name.replaceAll(/\p{C}+/gu, ', ').slice(0, 256)
}

function certificatesOf(pem: string): X509Certificate[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (found.length === 0) throw new TypeError('no certificate in PEM form')
  return found.map(each => new X509Certificate(each))
}
