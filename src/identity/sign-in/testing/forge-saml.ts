/** Answers of a SAML identity provider, honest and forged, for tests. Signed with the key that tests trust. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { SignedXml } from 'xml-crypto'

export const trustedKey = readFileSync(
  fileURLToPath(new URL('../../testing/loopback-key.pem', import.meta.url)),
  'utf8',
)
export const entityId = 'https://idp.example.com/metadata'

/** A time so many minutes from now. */
export const minutes = (count: number): string => new Date(Date.now() + count * 60_000).toISOString()

/** What an assertion says; what is absent is as an honest one has it. */
export interface Facts {
  readonly id?: string
  readonly nameId?: string
  readonly issuer?: string
  /** Empty: no restriction. */
  readonly audience: string
  readonly recipient: string
  readonly inResponseTo: string
  readonly until?: string
  readonly confirmedUntil?: string
  readonly groups?: readonly string[]
}

/** An assertion without a signature. */
export function assertionOf(facts: Facts): string {
  const {
    id = '_assertion',
    nameId = 'cam',
    issuer = entityId,
    audience,
    recipient,
    inResponseTo,
    until = minutes(5),
    confirmedUntil = until,
    groups = ['security', 'sre'],
  } = facts
  const values = groups.map(each => `<saml:AttributeValue>${each}</saml:AttributeValue>`).join('')
  const restriction =
    audience === ''
      ? ''
      : `<saml:AudienceRestriction><saml:Audience>${audience}</saml:Audience></saml:AudienceRestriction>`
  return `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${id}" IssueInstant="${minutes(0)}" Version="2.0"><saml:Issuer>${issuer}</saml:Issuer><saml:Subject><saml:NameID>${nameId}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="${inResponseTo}" NotOnOrAfter="${confirmedUntil}" Recipient="${recipient}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="${minutes(-5)}" NotOnOrAfter="${until}">${restriction}</saml:Conditions><saml:AuthnStatement AuthnInstant="${minutes(0)}" SessionIndex="_s"/><saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>cam@example.com</saml:AttributeValue></saml:Attribute><saml:Attribute Name="groups">${values}</saml:Attribute></saml:AttributeStatement></saml:Assertion>`
}

/** A response around it, to the recipient and the request given. */
export function responseOf(
  assertion: string,
  { recipient, inResponseTo }: Pick<Facts, 'recipient' | 'inResponseTo'>,
): string {
  return `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_response" IssueInstant="${minutes(0)}" Version="2.0" Destination="${recipient}" InResponseTo="${inResponseTo}"><saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">${entityId}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>${assertion}</samlp:Response>`
}

/** Signs the one element of that name, with an enveloped signature after its issuer. */
export function sign(
  xml: string,
  {
    element = 'Assertion',
    privateKey = trustedKey,
    algorithm = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  } = {},
): string {
  const signed = new SignedXml({ privateKey })
  signed.signatureAlgorithm = algorithm
  signed.canonicalizationAlgorithm = 'http://www.w3.org/2001/10/xml-exc-c14n#'
  signed.addReference({
    xpath: `//*[local-name(.)='${element}']`,
    transforms: [
      'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
      'http://www.w3.org/2001/10/xml-exc-c14n#',
    ],
    digestAlgorithm: 'http://www.w3.org/2001/04/xmlenc#sha256',
  })
  signed.computeSignature(xml, {
    location: {
      reference: `//*[local-name(.)='${element}']/*[local-name(.)='Issuer']`,
      action: 'after',
    },
  })
  return signed.getSignedXml()
}

/** The element that stands there, whole. */
export function cut(xml: string, name: string): string {
  return new RegExp(`<([\\w]+:)?${name}[ >][\\s\\S]*</([\\w]+:)?${name}>`).exec(xml)![0]
}

/** Wrapping: what is signed stands where nobody looks, and what is looked at is not signed. */
export function wrappings(facts: Facts): Readonly<Record<string, string>> {
  const good = sign(responseOf(assertionOf(facts), facts))
  const signed = cut(good, 'Assertion')
  const signature = cut(signed, 'Signature')
  const evil = assertionOf({ ...facts, id: '_evil', nameId: 'admin' })
  const unsigned = signed.replace(signature, '')
  const withSignature = evil.replace('</saml:Issuer>', `</saml:Issuer>${signature}`)
  const holding = (inner: string): string => evil.replace('</saml:Issuer>', `</saml:Issuer>${inner}`)
  const wrap = (inner: string): string => responseOf(inner, facts)
  return {
    'evil before the signed one': wrap(evil + signed),
    'evil after the signed one': wrap(signed + evil),
    'the signed one inside the evil one': wrap(holding(signed)),
    'the evil one with the signature, the signed one inside it': wrap(
      withSignature.replace('</saml:Assertion>', `${unsigned}</saml:Assertion>`),
    ),
    'the signed one inside the signature': wrap(
      evil.replace(
        '</saml:Issuer>',
        `</saml:Issuer>${signature.replace('</Signature>', `<Object>${unsigned}</Object></Signature>`)}`,
      ),
    ),
    'the signed one in extensions': wrap(`<samlp:Extensions>${signed}</samlp:Extensions>${evil}`),
    'the same id twice': wrap(
      evil.replace('ID="_evil"', 'ID="_assertion"') + `<samlp:Extensions>${signed}</samlp:Extensions>`,
    ),
    'a signed response around another assertion': sign(responseOf(assertionOf(facts), facts), {
      element: 'Response',
    }).replace(cut(responseOf(assertionOf(facts), facts), 'Assertion'), evil),
    'another name in what is signed': good.replace('>cam<', '>admin<'),
  }
}
