import { z } from 'zod'
import { byteSize } from './units.ts'

export const recordingSection = z
  .strictObject({
    max_bytes: byteSize()
      .default(256 * 1024 ** 2)
      .describe(
        'Most bytes kept of one action; what is beyond is not recorded and the entry says `complete: false`',
      ),
    recipients: z
      .array(z.string().startsWith('age1'))
      .optional()
      .describe(
        'age public keys that can read recordings. Given here, the gateway itself can not read what it recorded. ' +
          'Without, a key pair is made in the data directory at first start',
      ),
    identity_file: z
      .string()
      .optional()
      .describe('File with the age identity that opens recordings, for a gateway that may show them'),
  })
  .prefault({})
  .describe('How exchanges are recorded: encrypted to public keys in the age format')

export type RecordingConfig = z.infer<typeof recordingSection>
