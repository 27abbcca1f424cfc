import { z } from 'zod'
import { secretReference } from './secret.ts'
import { duration } from './units.ts'

const id = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'write a short name in lower case, digits and hyphens')
  .describe('Short name; part of the addresses that the provider is told')

const label = z.string().min(1).max(60).optional().describe('What the button says; default: the id')

const oidcProvider = z.strictObject({
  id,
  kind: z.literal('oidc'),
  label,
  issuer: z.string().describe('Name or `iss` of one of `identity.issuers`, which says what its claims mean'),
  client_id: z.string().describe('A client with the redirect address `<public_url>/auth/oidc/<id>/callback`'),
  client_secret: secretReference().optional().describe('For a confidential client'),
  scope: z.string().default('openid profile email').describe('Scopes to ask for'),
  allow_insecure_http: z
    .boolean()
    .default(false)
    .describe('For an issuer on plain HTTP that is not on this machine'),
})

const samlProvider = z.strictObject({
  id,
  kind: z.literal('saml'),
  label,
  entity_id: z
    .string()
    .min(1)
    .max(1024)
    .describe('The entity id of the identity provider: who must have issued what is signed'),
  sso_url: z.url({ protocol: /^https?$/ }).describe('Where it takes requests (HTTP-Redirect binding)'),
  certificates: z
    .array(z.string())
    .min(1)
    .describe(
      'PEM files with the certificates that it signs with; two while it changes from one to the other',
    ),
  sp_entity_id: z
    .string()
    .optional()
    .describe('What the gateway is called there; default: the address of its metadata'),
  name_id_format: z
    .string()
    .default('urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified')
    .describe('The form of the name to ask for. It has to be stable: it is the id of the person'),
  attributes: z
    .strictObject({
      email: z.string().default('email').describe('Attribute with the e-mail address'),
      name: z.string().default('name').describe('Attribute with the display name'),
      groups: z.string().default('groups').describe('Attribute with the groups'),
    })
    .prefault({})
    .describe('Where the facts about a person are in the assertion'),
  clock_skew: duration().default(60_000).describe('How far clocks may differ'),
})

const session = z
  .strictObject({
    idle: duration()
      .refine(ms => ms >= 60_000, 'write at least 1m')
      .default(2 * 3_600_000)
      .describe('A browser that asks for nothing for this long has to sign in again'),
    max_age: duration()
      .refine(ms => ms >= 60_000, 'write at least 1m')
      .default(12 * 3_600_000)
      .describe('After this long it has to in any case'),
  })
  .prefault({})
  .describe('How long a sign-in in the browser lasts')

export const signInSection = z
  .strictObject({
    issuer: z
      .string()
      .optional()
      .describe('The issuer at which people sign in on a terminal; one of `identity.issuers`'),
    client_id: z
      .string()
      .optional()
      .describe('A public client of that issuer that may use the device grant (RFC 8628)'),
    audience: z.string().optional().describe('Audience to ask the issuer for, where it needs to be told'),
    scope: z.string().default('openid profile email offline_access').describe('Scopes to ask for'),
    allow_insecure_http: z
      .boolean()
      .default(false)
      .describe('For an issuer on plain HTTP that is not on this machine'),
    providers: z
      .array(z.discriminatedUnion('kind', [oidcProvider, samlProvider]))
      .max(50)
      .default([])
      .describe('How people sign in in the browser')
      .superRefine((providers, context) => {
        const seen = new Set<string>()
        providers.forEach((each, i) => {
          if (seen.has(each.id))
            context.addIssue({ code: 'custom', path: [i, 'id'], message: `${each.id} is there already` })
          seen.add(each.id)
        })
      }),
    local: z
      .boolean()
      .optional()
      .describe(
        'Whether people with a password of the gateway’s own can sign in; default: only where no provider is configured',
      ),
    session,
  })
  .superRefine((section, context) => {
    if ((section.issuer === undefined) === (section.client_id === undefined)) return
    const missing = section.issuer === undefined ? 'issuer' : 'client_id'
    context.addIssue({ code: 'custom', path: [missing], message: '`issuer` and `client_id` go together' })
  })
  .prefault({})
  .describe('How people sign in: `sallyport login` on a terminal, and the console in the browser')

/**
 * How people sign in in the browser: as configured, or, where no provider is, at the issuer of the device grant with the
 * same client.
 */
export function providersOf(config: SignInConfig): readonly SignInProvider[] {
  const { providers, issuer, client_id, allow_insecure_http } = config
  if (providers.length > 0 || issuer === undefined || client_id === undefined) return providers
  const scope = config.scope.replace(/\boffline_access\b/, '').trim()
  return [{ id: 'sso', kind: 'oidc', label: 'Single sign-on', issuer, client_id, scope, allow_insecure_http }]
}

export type SignInConfig = z.infer<typeof signInSection>
export type SignInProvider = SignInConfig['providers'][number]
export type OidcSignIn = Extract<SignInProvider, { kind: 'oidc' }>
export type SamlSignIn = Extract<SignInProvider, { kind: 'saml' }>
