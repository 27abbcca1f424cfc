import { z } from 'zod'
import { parseVerifierKey } from '../audit/verify/signed-note.ts'
import { secretReference } from './secret.ts'
import { duration } from './units.ts'

const atLeast = (least: number, fallback: number, says: string) =>
  duration()
    .refine(ms => ms >= least, `write at least ${least} ms`)
    .default(fallback)
    .describe(says)

const witness = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'write lower-case letters, digits and hyphens, 63 at most')
    .describe('Unique name, in metrics and in the policy file for verifiers'),
  url: z
    .url({ protocol: /^https?$/ })
    .describe(
      'Submission prefix: `add-checkpoint` is put behind it. What is sent holds hashes and signatures only',
    ),
  vkey: z
    .string()
    .superRefine((text, context) => {
      try {
        if (parseVerifierKey(text).type !== 4) throw new TypeError('the key of a log, not of a witness')
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message })
      }
    })
    .describe('Its verifier key (C2SP tlog-cosignature, Ed25519), as `sallyport witness` prints it'),
})

const heartbeat = z
  .strictObject({
    growing: atLeast(1000, 10_000, 'How often the log says that it is alive, with counters, while it grows'),
    idle: atLeast(1000, 60_000, 'The same while nothing else is written'),
  })
  .prefault({})
  .describe('Entries that make silence visible: a missing one is a stopped or cut log')

const checkpoint = z
  .strictObject({
    delay: duration()
      .refine(ms => ms >= 10 && ms <= 1000, 'write 10ms to 1s')
      .default(250)
      .describe(
        'From growth to a signed head; while the log goes on growing up to three times as long, within a second',
      ),
    every: atLeast(1000, 10_000, 'A head is signed this often though nothing grew'),
  })
  .prefault({})
  .describe('When heads of the log are signed and published')

const vaultKey = z.strictObject({
  vault: z
    .strictObject({
      address: z.url({ protocol: /^https?$/ }).describe('Of HashiCorp Vault or OpenBao'),
      token: secretReference().describe('A token that may read and sign with the key, and nothing else'),
      key: z.string().min(1).describe('Name of a key of type `ed25519` in the transit engine'),
      mount: z
        .string()
        .regex(/^[\w-]+(\/[\w-]+)*$/)
        .default('transit')
        .describe('Where the transit engine is mounted'),
      version: z
        .number()
        .int()
        .min(1)
        .optional()
        .describe(
          'Version of the key; default: the latest at the start. To rotate, name two versions for a while',
        ),
      namespace: z.string().min(1).optional().describe('Namespace of Vault'),
    })
    .describe('A key that never leaves Vault: it is asked for each signature'),
})

export const auditSection = z
  .strictObject({
    heartbeat,
    checkpoint,
    keys: z
      .array(z.union([secretReference(), vaultKey]))
      .min(1)
      .max(4)
      .optional()
      .describe(
        'Keys that sign the log, all of them each head: references to an Ed25519 key in PKCS 8 PEM, or keys in Vault. ' +
          'To rotate, add the new one, and remove the old one when verifiers know the new one. Without: the gateway makes ' +
          'a key in `data` at its first start, and `sallyport keys rotate` replaces it',
      ),
    witnesses: z
      .array(witness)
      .max(16)
      .default([])
      .describe(
        'Who cosigns the log (C2SP tlog-witness), so that it can not be rewritten by whoever has its key',
      ),
    quorum: z
      .number()
      .int()
      .min(1)
      .optional()
      .describe('How many of them must have cosigned one head; default: more than half'),
    mode: z
      .enum(['monitor', 'required'])
      .default('monitor')
      .describe(
        '`monitor`: say in the log, in metrics and to the operator when the quorum is not there. `required`: also ' +
          'refuse every action until it is there again',
      ),
    patience: atLeast(1000, 60_000, 'How long the quorum may be absent before that'),
    witness_every: atLeast(1000, 10_000, 'Each witness is asked at most this often'),
    witness_timeout: atLeast(100, 5_000, 'How long one witness has to answer'),
  })
  .superRefine((audit, context) => {
    const { witnesses, quorum, mode } = audit
    const names = witnesses.map(each => each.name)
    const keys = witnesses.map(each => each.vkey)
    if (new Set(names).size < names.length || new Set(keys).size < keys.length)
      context.addIssue({
        code: 'custom',
        path: ['witnesses'],
        message: 'two witnesses have one name or one key',
      })
    if (quorum !== undefined && quorum > witnesses.length)
      context.addIssue({
        code: 'custom',
        path: ['quorum'],
        message: `there are ${witnesses.length} witnesses`,
      })
    if (audit.patience < Math.max(audit.witness_every, audit.checkpoint.every) + audit.witness_timeout)
      context.addIssue({
        code: 'custom',
        path: ['patience'],
        message:
          'must be longer than it takes to ask once: the times between heads and between questions, and the answer',
      })
    if (mode === 'required' && witnesses.length === 0)
      context.addIssue({ code: 'custom', path: ['mode'], message: 'name the witnesses that are required' })
  })
  .prefault({})
  .describe('The evidence: heads of the log, the keys that sign them, and witnesses')

export type AuditConfig = z.infer<typeof auditSection>
