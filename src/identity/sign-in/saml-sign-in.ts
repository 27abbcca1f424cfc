/**
 * SAML 2.0 service provider: HTTP-Redirect to the identity provider, HTTP-POST back. The library verifies signatures and
 * gives the signed bytes back; everything read here comes from those alone. An answer without a request of this browser
 * (started by the identity provider) is refused, as is whatever the profile (SAML 2.0 Profiles, section 4.1.4) demands
 * and the library leaves open: issuer, recipient, method, times that are absent.
 */
import { randomBytes, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Profile, SAML } from '@node-saml/node-saml'
import type { SamlSignIn } from '../../config/sign-in.ts'
import type { Subject } from '../../model/subject.ts'
import { isPlainText } from '../claim.ts'
import type { PendingSignIn } from './pending.ts'
import { SignInRefused } from './sign-in-refused.ts'

const mostBytes = 256 * 1024
const requestLastsMs = 10 * 60_000
const bearer = 'urn:oasis:names:tc:SAML:2.0:cm:bearer'
const transient = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'
const mostGroups = 1000

export interface SamlAddresses {
  /** Where answers are posted (the assertion consumer service). */
  readonly acs: string
  readonly metadata: string
}

export class SamlSignInFlow {
  readonly #provider: SamlSignIn
  readonly #base: string
  #certificates: Promise<string[]> | undefined

  /** `base` is the directory that relative certificate paths start from. */
  constructor(provider: SamlSignIn, base: string) {
    this.#provider = provider
    this.#base = base
  }

  async begin(
    at: SamlAddresses,
  ): Promise<{ readonly url: string; readonly secrets: PendingSignIn['secrets'] }> {
    const request = `_${randomBytes(20).toString('hex')}`
    const saml = await this.#open(at, request)
    return { url: await saml.getAuthorizeUrlAsync('', undefined, {}), secrets: { request } }
  }

  async metadata(at: SamlAddresses): Promise<string> {
    return (await this.#open(at, '_')).generateServiceProviderMetadata(null)
  }

  /** The person that the answer proves. Throws SignInRefused for one that proves nobody. */
  async finish(encoded: string, { secrets }: PendingSignIn, at: SamlAddresses): Promise<Subject> {
    const request = secrets['request']!
    checkText(encoded, at)
    let profile: Profile | null
    try {
      const saml = await this.#open(at, request)
      ;({ profile } = await saml.validatePostResponseAsync({ SAMLResponse: encoded }))
    } catch (error) {
      throw refused(error instanceof Error ? error.message : 'unknown')
    }
    if (profile?.getAssertion === undefined) throw refused('no assertion')
    const { Assertion: assertion } = profile.getAssertion() as { Assertion?: Element }
    if (assertion === undefined) throw refused('what is signed is no assertion')
    this.#checkAssertion(assertion, { request, acs: at.acs })
    return this.#subjectOf(assertion)
  }

  #checkAssertion(assertion: Element, { request, acs }: { request: string; acs: string }): void {
    const skew = this.#provider.clock_skew
    if (textOf(only(assertion, 'Issuer')) !== this.#provider.entity_id) throw refused('issued by another')
    const subject = only(assertion, 'Subject')
    const confirmed = childrenOf(subject, 'SubjectConfirmation').some(confirmation => {
      const [data, ...more] = childrenOf(confirmation, 'SubjectConfirmationData')
      return (
        attributeOf(confirmation, 'Method') === bearer &&
        more.length === 0 &&
        attributeOf(data, 'Recipient') === acs &&
        attributeOf(data, 'InResponseTo') === request &&
        attributeOf(data, 'NotBefore') === undefined &&
        isAhead(attributeOf(data, 'NotOnOrAfter'), skew)
      )
    })
    if (!confirmed) throw refused('no confirmation of this request for this recipient')
    const conditions = only(assertion, 'Conditions')
    if (!isAhead(attributeOf(conditions, 'NotOnOrAfter'), skew))
      throw refused('it does not say until when, or is over')
    // The library compares them; that there are any is asked here.
    if (childrenOf(conditions, 'AudienceRestriction').length === 0) throw refused('it is for any audience')
    const statement = only(assertion, 'AuthnStatement')
    const until = attributeOf(statement, 'SessionNotOnOrAfter')
    if (until !== undefined && !isAhead(until, skew)) throw refused('the session there is over')
  }

  #subjectOf(assertion: Element): Subject {
    const nameId = only(only(assertion, 'Subject'), 'NameID')
    const id = textOf(nameId)
    if (!isPlainText(id, 1024)) throw new SignInRefused('subject-invalid', 'NameID')
    // It would be another person at every sign-in.
    if (attributeOf(nameId, 'Format') === transient)
      throw new SignInRefused('subject-invalid', 'a transient NameID')
    const { attributes } = this.#provider
    const [name] = valuesOf(assertion, attributes.name)
    const [email] = valuesOf(assertion, attributes.email)
    const groups = valuesOf(assertion, attributes.groups)
    if (groups.length > mostGroups || !groups.every(group => isPlainText(group, 1024)))
      throw new SignInRefused('groups-invalid', 'groups')
    return {
      issuer: this.#provider.entity_id,
      id,
      kind: 'user',
      groups: [...new Set(groups)],
      method: 'saml',
      claims: {},
      ...(isPlainText(name, 320) ? { name } : {}),
      ...(isPlainText(email, 320) ? { email } : {}),
    }
  }

  /** One request's library object: it knows no request but this one. */
  async #open({ acs, metadata }: SamlAddresses, request: string): Promise<SAML> {
    // The XML libraries are many; who has no SAML does not load them.
    const { SAML: Saml, ValidateInResponseTo } = await import('@node-saml/node-saml')
    const entityId = this.#provider.sp_entity_id ?? metadata
    const issued = new Date().toISOString()
    let open = true
    return new Saml({
      callbackUrl: acs,
      entryPoint: this.#provider.sso_url,
      issuer: entityId,
      audience: entityId,
      idpCert: await this.#trusted(),
      idpIssuer: this.#provider.entity_id,
      identifierFormat: this.#provider.name_id_format,
      wantAssertionsSigned: true,
      // Where the answer is signed as a whole its signature is checked too; the assertion's has to be there in any case.
      wantAuthnResponseSigned: false,
      disableRequestedAuthnContext: true,
      acceptedClockSkewMs: this.#provider.clock_skew,
      validateInResponseTo: ValidateInResponseTo.always,
      requestIdExpirationPeriodMs: requestLastsMs,
      generateUniqueId: () => request,
      cacheProvider: {
        saveAsync: (_key, value) => Promise.resolve({ value, createdAt: Date.now() }),
        getAsync: key => Promise.resolve(open && key === request ? issued : null),
        removeAsync: key => {
          open &&= key !== request
          return Promise.resolve(key)
        },
      },
    })
  }

  #trusted(): Promise<string[]> {
    this.#certificates ??= Promise.all(
      this.#provider.certificates.map(async file => {
        const pem = await readFile(resolve(this.#base, file), 'utf8')
        return new X509Certificate(pem).toString()
      }),
    ).catch((error: unknown) => {
      this.#certificates = undefined
      throw error
    })
    return this.#certificates
  }
}

/**
 * What no honest identity provider sends, and every trick needs: a document type (entities, XXE), comments and processing
 * instructions (which signatures do not cover, so that `admin@a.example<!---->.evil.example` is two names to two
 * parsers), SHA-1.
 */
function checkText(encoded: string, { acs }: SamlAddresses): void {
  if (encoded.length > mostBytes) throw refused('too large')
  const xml = Buffer.from(encoded, 'base64').toString('utf8')
  if (!xml.isWellFormed() || xml.includes('\u{FFFD}')) throw refused('not UTF-8')
  const body = xml.replace(/^\s*<\?xml\s[^?]*\?>/, '')
  if (/<!DOCTYPE|<!ENTITY/i.test(body)) throw refused('a document type')
  if (body.includes('<!--') || body.includes('<?') || body.includes('<![CDATA['))
    throw refused('a comment, an instruction or a CDATA section')
  if (/xmldsig#(rsa-sha1|dsa-sha1|hmac-sha1|sha1)["']/.test(body)) throw refused('SHA-1')
  const root = /^\s*<(?:[\w.-]+:)?Response\b([^>]*)>/.exec(body)
  if (root === null) throw refused('no response')
  const destination = /\sDestination\s*=\s*(?:"([^"]*)"|'([^']*)')/.exec(root[1]!)
  if (destination !== null && (destination[1] ?? destination[2]) !== acs) throw refused('sent to another')
}

function refused(detail: string): SignInRefused {
  return new SignInRefused('sign-in-refused', detail.slice(0, 200))
}

/** An element as the library's parser gives it: children by local name, `$` attributes, `_` text. */
interface Element {
  readonly [member: string]: unknown
}

function childrenOf(element: Element | undefined, name: string): readonly Element[] {
  const found = element !== undefined && Object.hasOwn(element, name) ? element[name] : []
  if (!Array.isArray(found)) return []
  return found.map(each => (typeof each === 'object' && each !== null ? (each as Element) : { _: each }))
}

function only(element: Element, name: string): Element {
  const [child, ...more] = childrenOf(element, name)
  if (child === undefined || more.length > 0) throw refused(`not exactly one ${name}`)
  return child
}

function attributeOf(element: Element | undefined, name: string): string | undefined {
  const attributes = element?.['$'] as Readonly<Record<string, unknown>> | undefined
  const value = attributes !== undefined && Object.hasOwn(attributes, name) ? attributes[name] : undefined
  return typeof value === 'string' ? value : undefined
}

function textOf(element: Element): string {
  return typeof element['_'] === 'string' ? element['_'].trim() : ''
}

/** All values of the attributes of this name or friendly name. */
function valuesOf(assertion: Element, name: string): string[] {
  return childrenOf(assertion, 'AttributeStatement')
    .flatMap(statement => childrenOf(statement, 'Attribute'))
    .filter(each => attributeOf(each, 'Name') === name || attributeOf(each, 'FriendlyName') === name)
    .flatMap(each => childrenOf(each, 'AttributeValue').map(textOf))
    .filter(value => value !== '')
}

function isAhead(time: string | undefined, skewMs: number): boolean {
  const at = time === undefined ? Number.NaN : Date.parse(time)
  return at > Date.now() - skewMs
}
