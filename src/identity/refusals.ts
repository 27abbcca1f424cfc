/**
 * The registry of reasons for which a credential is not accepted. A reason goes into the entry `identity.refused` and
 * is never told to the client, who could learn from it. The table in `docs/guides/identity.md` is tested against it.
 */
export const refusalReasons = {
  'credential-missing': 'The request carried no credential where one is looked for',
  'credential-ambiguous': 'The request carried several different credentials',
  'token-unrecognized': 'Neither a JWT nor a gateway token',
  'token-too-large': 'Larger than `max_token_bytes`',
  'token-malformed':
    'Not a well-formed JWT: segments, base64url, JSON, a repeated member, or a claim of a wrong type',
  'token-encrypted': 'A JWE; only signed tokens are read',
  'type-refused': 'The `typ` says that it is another kind of JWT, such as a logout token or a DPoP proof',
  'algorithm-refused':
    'The `alg` is not one that the issuer is allowed: `none`, a shared-secret one, or not listed',
  'critical-header': 'The `crit` header demands an extension that is not understood',
  'embedded-key': 'The token brings its own key (`jwk`)',
  'issuer-unknown': 'No configured issuer has exactly this `iss`',
  'key-unknown': 'The issuer has no key with this `kid` for this algorithm, also after asking it again',
  'signature-invalid': 'The signature does not verify with the issuer’s key',
  'token-expired': 'After `exp`, skew allowed for',
  'expiry-missing': 'There is no `exp`',
  'not-yet-valid': 'Before `nbf`, or `iat` is in the future, skew allowed for',
  'audience-mismatch': 'None of the configured audiences is in `aud`',
  'party-refused': 'Issued to a client that is not in `authorized_parties`',
  'claim-mismatch': 'A claim of `required_claims` is absent or has another value',
  'subject-invalid': 'The id is absent, not a string, too long, or holds control characters',
  'groups-invalid': 'The groups claim is not a string or a list of strings',
  'groups-incomplete':
    'The issuer left the groups out of the token and refers to another place (distributed claims)',
  'proof-required':
    'The token is bound to a key (`cnf`) and worth nothing without the proof, which is not supported',
  'actor-invalid': 'The `act` claim is malformed or nested too deep',
  'actor-refused':
    'An actor that the configuration does not accept: `accept`, `allowed` or `issuers` of `actor`',
  'sign-in-unasked': 'An answer of a provider that no sign-in of this browser waits for, or a second one',
  'sign-in-refused': 'An answer of a provider that proves nobody; the gateway’s own log says why',
  'password-wrong': 'A wrong password, or nobody of that name',
  'link-invalid': 'A link of an invitation that was used, is too old, or never was',
  'token-unknown': 'No gateway token like this exists, or its secret is wrong',
  'device-refused': 'A person did not let a terminal in that asked to be signed in as them',
  'session-over': 'The session of a terminal that a person let in is over, or never was',
  'delegate-unknown': 'The credential of a program of the gateway’s that has ended, or never ran',
  'delegate-elsewhere':
    'The credential of a program of the gateway’s, at a connection that it may not use or at none',
  'delegate-idle': 'The credential of a program of the gateway’s, at a time when it works for nobody',
  'delegate-ambiguous':
    'The credential of a program of the gateway’s that works for several at once, and nothing tells for whom this is',
  'token-revoked': 'A gateway token that was revoked',
  'client-refused':
    'A client of the token endpoint that is not known, has another secret, or may no longer bring this issuer’s assertions',
  'assertion-used': 'An identity assertion that was exchanged before',
  'assertion-unbounded': 'An identity assertion without a `jti`, or one that holds for longer than an hour',
  'resource-refused':
    'An identity assertion that names no address of the gateway’s, or is shown for another than it names',
  'certificate-untrusted':
    'A client certificate of an authority that is not trusted here, or that does not verify',
  'certificate-expired': 'A client certificate before or after its time',
  'certificate-revoked': 'A client certificate that its authority revoked',
  'certificate-purpose': 'A certificate that is not made for clients (extended key usage `clientAuth`)',
  'certificate-name': 'A client certificate with no name, or several, where the subject’s id is looked for',
} as const satisfies Record<string, string>

export type RefusalReason = keyof typeof refusalReasons
