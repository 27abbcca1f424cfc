import { z } from 'zod'

const certificateSection = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'write a short name in lower case, digits and hyphens')
    .describe('Short name. Subjects have the issuer `certificate:<name>`'),
  ca: z.string().describe('PEM file with the authorities that may issue certificates of clients'),
  crl: z
    .string()
    .optional()
    .describe(
      'PEM file with the lists of what they revoked, one of each authority. Taken up when it changes; one that is past its time lets nobody in',
    ),
  id: z
    .enum(['uri', 'email', 'dns', 'common-name'])
    .default('uri')
    .describe(
      'Where the id of the subject stands: a subject alternative name (`uri`: SPIFFE), or the common name. There must be exactly one',
    ),
  kind: z.enum(['service', 'agent', 'user']).default('service').describe('What they are'),
  groups: z.array(z.string()).default([]).describe('Groups that all of them are in'),
})

/** Authorities whose certificates say who a client is; a listener names one of them in `tls.clients`. */
export const certificatesSection = z
  .array(certificateSection)
  .max(100)
  .default([])
  .describe('Authorities whose client certificates are accepted, by listeners that name them')
  .superRefine((all, context) => {
    const seen = new Set<string>()
    all.forEach(({ name }, i) => {
      if (seen.has(name))
        context.addIssue({ code: 'custom', path: [i, 'name'], message: `${name} is there already` })
      seen.add(name)
    })
  })

export type CertificateConfig = z.output<typeof certificateSection>
