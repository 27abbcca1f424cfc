import { z } from 'zod'
import { assertionsSection } from './assertions.ts'
import { certificatesSection } from './certificates.ts'
import { byteSize, duration } from './units.ts'

/** Signature algorithms an issuer may be allowed: asymmetric ones alone, so no public key can pass as a secret. */
export const signatureAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

const subjectKind = z.enum(['user', 'service', 'agent'])

const claimPath = z.string().min(1).max(256)

const oneOrMore = <T extends z.ZodType>(item: T) =>
  z
    .union([item, z.array(item).min(1)])
    .transform(value => (Array.isArray(value) ? value : [value]) as z.infer<T>[])

const claimsSection = z
  .strictObject({
    id: claimPath
      .default('sub')
      .describe('Claim with the stable id. Changing it makes everybody somebody else'),
    groups: oneOrMore(claimPath)
      .default(['groups'])
      .describe(
        'Claims with groups: a name, a dotted path such as `realm_access.roles`, or, for names that hold dots, a JSON ' +
          'pointer such as `/kubernetes.io/namespace`. Of a list, all are united',
      ),
    email: claimPath
      .default('email')
      .describe('Claim with the e-mail address. Dropped where `email_verified` is false'),
    name: oneOrMore(claimPath)
      .default(['name', 'preferred_username'])
      .describe('Claims with the display name; the first that is there'),
  })
  .prefault({})
  .describe('Where the facts about a subject are in its token')

const kindRule = z.strictObject({
  claim: claimPath.describe('Claim to look at; same forms as `claims.groups`'),
  in: oneOrMore(z.union([z.string(), z.number(), z.boolean()]))
    .optional()
    .describe('Values one of which the claim must be or hold. Without, it is enough that the claim is there'),
  kind: subjectKind.describe('The kind of subjects that match'),
})

const kindSection = z
  .union([
    z.enum(['auto', 'user', 'service', 'agent']).transform(value => ({ otherwise: value, when: [] })),
    z.strictObject({
      when: z.array(kindRule).default([]).describe('Rules; the first that matches decides'),
      otherwise: z
        .enum(['auto', 'user', 'service', 'agent'])
        .default('auto')
        .describe('The kind when no rule matches'),
    }),
  ])
  .prefault('auto')
  .describe(
    'What subjects of this issuer are. `auto`: `service` where the token says that a client speaks for itself (its `sub` ' +
      'is its `client_id` or `azp`, or `idtyp` is `app`, or `gty` is `client-credentials`), else `user`. A token with an ' +
      'actor (`act`) is always an `agent`',
  )

const actorSection = z
  .strictObject({
    accept: z
      .boolean()
      .default(true)
      .describe('Accept tokens with an actor (RFC 8693 `act`): an agent that acts for a person'),
    allowed: z
      .array(z.string())
      .optional()
      .describe('The `act.sub` that may act for others; without this list, any that the issuer names'),
    issuers: z
      .array(z.string())
      .default([])
      .describe('Other issuers that this one may name actors of (`act.iss`). Its own needs no mention'),
    clients: z
      .array(z.string())
      .default([])
      .describe(
        'Clients (`azp`, `client_id`, `appid` or `cid`) that are agents. A person’s token given to one of them makes the ' +
          'client the subject and the person the one it acts for: the on-behalf-of form of issuers that have no `act`',
      ),
  })
  .prefault({})
  .describe('How delegation is read')

const keysSection = z
  .strictObject({
    refresh: duration()
      .default(300_000)
      .describe('Keys older than this are fetched again, in the background'),
    max_age: duration()
      .default(3_600_000)
      .describe(
        'How long keys stay usable while the issuer cannot be reached; after that its tokens are refused with 503',
      ),
    cooldown: duration()
      .default(10_000)
      .describe('Least time between two fetches that unknown key ids cause, whoever sends them'),
    timeout: duration().default(5000).describe('Longest time for one fetch'),
  })
  .prefault({})
  .describe('How the issuer’s keys are kept')

const issuerSection = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'write a short name in lower case, digits and hyphens')
      .describe('Short name, for roles, messages and metrics'),
    issuer: z
      .string()
      .min(1)
      .max(1024)
      .describe(
        'Exact `iss` of its tokens, to the last slash. `spiffe://trust-domain` for JWT-SVIDs, which have no `iss`',
      ),
    audience: oneOrMore(z.string().min(1)).describe('One of these must be in the token’s `aud`'),
    resources: z
      .boolean()
      .default(true)
      .describe(
        'Also accept tokens whose `aud` is the address of one connection or of `/mcp`, there alone (RFC 8707). MCP ' +
          'clients ask for such tokens',
      ),
    algorithms: z
      .array(z.enum(signatureAlgorithms))
      .min(1)
      .default([...signatureAlgorithms])
      .describe('Signature algorithms to accept'),
    jwks_uri: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Where the keys are; without it, discovery says where'),
    jwks_file: z
      .string()
      .optional()
      .describe('File with the keys (a JWK set), for an issuer that cannot be reached'),
    allow_insecure_http: z
      .boolean()
      .default(false)
      .describe('Fetch keys over plain HTTP from elsewhere than loopback'),
    ca: z
      .string()
      .optional()
      .describe('PEM file with the authorities to trust for this issuer, in place of the system’s'),
    clock_skew: duration().default(60_000).describe('How far clocks may differ'),
    max_token_bytes: byteSize()
      .default(16 * 1024)
      .describe('Largest token that is looked at'),
    required_claims: z
      .record(z.string(), oneOrMore(z.union([z.string(), z.number(), z.boolean()])))
      .default({})
      .describe('Claims that must be there, each with the values one of which it must be or hold'),
    authorized_parties: z
      .array(z.string())
      .min(1)
      .optional()
      .describe(
        'Clients whose tokens are accepted: `azp`, `client_id`, `appid` and `cid`, as many as are there, must all be one',
      ),
    require_verified_email: z
      .boolean()
      .default(false)
      .describe('Take the e-mail address only where `email_verified` is true; default: unless it is false'),
    claims: claimsSection,
    kind: kindSection,
    actor: actorSection,
    keys: keysSection,
  })
  .superRefine((each, context) => {
    const issue = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message })
    if (each.jwks_uri !== undefined && each.jwks_file !== undefined)
      issue('jwks_file', 'jwks_uri or jwks_file, not both')
    const fetched = each.jwks_uri ?? (each.jwks_file === undefined ? each.issuer : undefined)
    const url = fetched === undefined ? undefined : URL.parse(fetched)
    const at = each.jwks_uri === undefined ? 'issuer' : 'jwks_uri'
    if (url === null || (url && url.protocol !== 'https:' && url.protocol !== 'http:'))
      issue(at, 'not an https address, so its keys can not be discovered: add jwks_uri or jwks_file')
    else if (url && (url.username !== '' || url.hash !== '' || (at === 'issuer' && url.search !== '')))
      issue(at, 'no user, query or fragment here')
    else if (url?.protocol === 'http:' && !isLoopbackHost(url.hostname) && !each.allow_insecure_http)
      issue(at, 'plain HTTP: use https, or allow_insecure_http: true where the way there is safe')
    if (each.keys.max_age < each.keys.refresh) issue('keys', 'max_age is shorter than refresh')
  })

export const identitySection = z
  .strictObject({
    issuers: z
      .array(issuerSection)
      .max(1000)
      .default([])
      .describe('OIDC issuers whose tokens are accepted')
      .superRefine((issuers, context) => {
        for (const key of ['name', 'issuer'] as const) {
          const seen = new Set<string>()
          issuers.forEach((each, i) => {
            if (seen.has(each[key]))
              context.addIssue({ code: 'custom', path: [i, key], message: `${each[key]} is there already` })
            seen.add(each[key])
          })
        }
      }),
    certificates: certificatesSection,
    assertions: assertionsSection,
    tokens: z
      .strictObject({
        enabled: z.boolean().default(true).describe('Accept gateway tokens (`spt_...`)'),
        default_lifetime: duration()
          .default(30 * 86_400_000)
          .describe('Lifetime of a token made without one'),
        max_lifetime: duration()
          .default(90 * 86_400_000)
          .describe('Longest lifetime a token can be made with'),
        recheck: duration()
          .default(5000)
          .describe(
            'How long a revocation made by another process of the gateway may go unseen; here it is seen at once',
          ),
      })
      .refine(tokens => tokens.default_lifetime <= tokens.max_lifetime, {
        path: ['default_lifetime'],
        error: 'longer than max_lifetime',
      })
      .prefault({})
      .describe('Tokens of the gateway’s own, for machines without an identity provider'),
    cached_tokens: z
      .number()
      .int()
      .min(0)
      .max(1_000_000)
      .default(10_000)
      .describe('Most checked tokens to remember'),
  })
  .superRefine(({ issuers, assertions }, context) => {
    assertions.clients.forEach((each, i) =>
      each.issuers.forEach((name, j) => {
        if (issuers.some(issuer => issuer.name === name)) return
        const path = ['assertions', 'clients', i, 'issuers', j]
        context.addIssue({ code: 'custom', path, message: `no issuer is called ${name}` })
      }),
    )
  })
  .prefault({})
  .describe('Who is believed to say who somebody is')

const matcher = z.union([
  z
    .string()
    .regex(
      /^(everyone|(group|user|id|issuer):.+)$/,
      'write everyone, group:NAME, user:EMAIL, id:ID or issuer:NAME',
    ),
  z
    .strictObject({
      issuer: z
        .string()
        .optional()
        .describe('Name of a configured issuer, its exact `iss`, or `sallyport` for gateway tokens'),
      group: z.string().optional(),
      user: z.string().optional().describe('E-mail address of a person'),
      id: z.string().optional().describe('The subject’s id'),
    })
    .refine(
      each => Object.values(each).some(value => value !== undefined),
      'an empty matcher would match everyone',
    ),
])

const matchers = (what: string) => z.array(matcher).default([]).describe(what)

export const rolesSection = z
  .strictObject({
    admin: matchers('Change what the gateway does. People and services alone, never an agent'),
    approver: matchers('Decide on approvals that name no approvers of their own. People alone'),
    auditor: matchers('Read the log and the recordings of everybody'),
    user: z.array(matcher).default(['everyone']).describe('Use the API for what concerns themselves'),
  })
  .prefault({})
  .describe(
    'Who may use the gateway’s own API for what. Each is a list of `group:NAME`, `user:EMAIL`, `id:ID`, `issuer:NAME` or ' +
      '`everyone`, or of objects whose members must all hold, such as `{ issuer: okta, group: sre }`',
  )

export type IdentityConfig = z.infer<typeof identitySection>
export type IssuerConfig = z.infer<typeof issuerSection>
export type TokensConfig = IdentityConfig['tokens']
export type RolesConfig = z.infer<typeof rolesSection>

/** Whether a URL's host is this machine, by name or address, as the URL parser writes it. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

/** One issuer with every default filled in, from what a configuration file would say. Throws ZodError. */
export function issuerConfig(input: z.input<typeof issuerSection>): IssuerConfig {
  return issuerSection.parse(input)
}
