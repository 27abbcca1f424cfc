import { z } from 'zod'
import { isLoopbackHost } from './identity.ts'
import { secretReference } from './secret.ts'
import { duration } from './units.ts'

const address = z.url({ protocol: /^https?$/ }).max(1024)

/** One credential that an authorization server issues. Fits `OAuthCredential` of the model. */
export const oauthSection = z
  .strictObject({
    grant: z
      .enum(['client_credentials', 'authorization_code'])
      .describe(
        '`client_credentials`: one token for everybody; `authorization_code`: each person’s own, after their consent',
      ),
    issuer: address.describe('Identifier of the authorization server, exactly as it says itself'),
    token_endpoint: address.optional().describe('Where tokens come from; without it, discovery says where'),
    authorization_endpoint: address
      .optional()
      .describe('Where people consent; without it, discovery says where'),
    client_id: z.string().min(1).max(512).describe('What the authorization server calls this gateway'),
    client_secret: secretReference().optional().describe('The client’s secret, a reference'),
    private_key: secretReference()
      .optional()
      .describe('PKCS #8 PEM of the key to sign with in place of a secret (`private_key_jwt`), a reference'),
    key_id: z.string().max(256).optional().describe('`kid` of that key'),
    assertion_audience: z
      .enum(['issuer', 'token_endpoint'])
      .default('issuer')
      .describe(
        'Whom a signed assertion names as its audience; some servers want to see their token endpoint',
      ),
    authentication: z
      .enum(['basic', 'post'])
      .default('basic')
      .describe('How the secret is sent: in a header or in the form'),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/))
      .max(100)
      .default([])
      .describe('To ask for'),
    more_scopes: z
      .array(z.string().min(1).max(256))
      .max(100)
      .default(['*'])
      .describe(
        'Scopes that people may be asked for beyond `scopes` because the upstream wants them (403, `insufficient_scope`); `*` stands for any text, `[]`: none',
      ),
    resource: address.optional().describe('What the token is for (RFC 8707); for MCP, the server’s address'),
    refresh_ahead: duration()
      .prefault('60s')
      .describe('A token that ends sooner than this is replaced first'),
    allow_insecure_http: z.boolean().default(false).describe('Plain HTTP to elsewhere than loopback'),
  })
  .superRefine((section, context) => {
    for (const key of ['issuer', 'token_endpoint', 'authorization_endpoint'] as const) {
      const url = section[key] === undefined ? null : URL.parse(section[key])
      if (url?.protocol !== 'http:' || isLoopbackHost(url.hostname) || section.allow_insecure_http) continue
      context.addIssue({ code: 'custom', path: [key], message: 'plain HTTP: use https' })
    }
    const proofs = [section.client_secret, section.private_key].filter(each => each !== undefined).length
    if (proofs > 1)
      context.addIssue({
        code: 'custom',
        path: ['private_key'],
        message: 'client_secret or private_key, not both',
      })
    if (proofs === 0 && section.grant === 'client_credentials')
      context.addIssue({ code: 'custom', path: ['grant'], message: 'needs client_secret or private_key' })
  })
