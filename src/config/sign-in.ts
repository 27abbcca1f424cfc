import { z } from 'zod'

export const signInSection = z
  .strictObject({
    issuer: z.string().describe('The issuer at which people sign in; one of `identity.issuers`'),
    client_id: z.string().describe('A public client of that issuer that may use the device grant (RFC 8628)'),
    audience: z.string().optional().describe('Audience to ask the issuer for, where it needs to be told'),
    scope: z.string().default('openid profile email offline_access').describe('Scopes to ask for'),
    allow_insecure_http: z
      .boolean()
      .default(false)
      .describe('For an issuer on plain HTTP that is not on this machine'),
  })
  .optional()
  .describe('How `sallyport login` signs people in')

export type SignInConfig = z.infer<typeof signInSection>
