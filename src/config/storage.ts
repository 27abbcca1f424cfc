import { z } from 'zod'
import { byteSize } from './units.ts'

const percent = () => z.number().min(0).max(100)

export const storageSection = z
  .strictObject({
    segment_bytes: byteSize()
      .refine(bytes => bytes >= 1024 ** 2 && bytes <= 256 * 1024 ** 2, 'write a size from 1MiB to 256MiB')
      .default(64 * 1024 ** 2)
      .describe('Size of one file of the log. The space for the next one is taken ahead of need'),
    reserve_bytes: byteSize()
      .refine(bytes => bytes >= 64 * 1024 && bytes <= 256 * 1024 ** 2, 'write a size from 64KiB to 256MiB')
      .default(8 * 1024 ** 2)
      .describe(
        'Space taken ahead that only the ends of actions may use, so that a full disk still takes them',
      ),
    watermarks: z
      .strictObject({
        warn_percent: percent().default(25).describe('Warn when less of the disk than this is free'),
        refuse_sessions_percent: percent()
          .default(10)
          .describe('Open no session when less of the disk than this is free'),
        refuse_percent: percent().default(5).describe('Refuse every action when less than this is free'),
        enough_bytes: byteSize()
          .default(20 * 1024 ** 3)
          .describe(
            'While this much is free none of the marks counts: a twentieth of a large disk is plenty',
          ),
      })
      .refine(
        marks =>
          marks.warn_percent >= marks.refuse_sessions_percent &&
          marks.refuse_sessions_percent >= marks.refuse_percent,
        'warn_percent must not be below refuse_sessions_percent, nor that below refuse_percent',
      )
      .prefault({})
      .describe(
        'What happens as the disk that holds `data` fills up. It ends by itself when there is room again. Whatever the ' +
          'marks, an action whose record can not be kept is refused: what auditd would call `on_audit_failure: refuse` ' +
          'is the only mode there is',
      ),
  })
  .prefault({})
  .describe('How the data directory is used')

export type StorageConfig = z.infer<typeof storageSection>
