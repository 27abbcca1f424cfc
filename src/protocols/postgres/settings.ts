/** What a connection of this protocol can be told, and what it may be. */
import { z } from 'zod'
import { byteSize, duration } from '../../config/units.ts'

export const postgresSettings = z.strictObject({
  host: z.string().min(1).describe('Host name or address of the server'),
  port: z.int().min(1).max(65_535).default(5432).describe('Its port'),
  database: z.string().min(1).describe('The database. Clients name it, or the connection'),
  user: z
    .string()
    .optional()
    .describe(
      'The role to log in as, where `credential` holds no `user`. What is in `credential` is masked in results',
    ),
  tls: z
    .strictObject({
      mode: z
        .enum(['verify-full', 'require', 'disable'])
        .default('verify-full')
        .describe('`require` encrypts and does not know to whom; `disable` speaks plain text'),
      ca: z
        .string()
        .optional()
        .describe('Certificate authorities of the server, PEM text. Default: those of Node'),
      server_name: z.string().optional().describe('Name to verify, if not the host'),
      client: z
        .strictObject({
          certificate: z
            .string()
            .describe('Name in the `credential` block whose value is the certificate, PEM'),
          key: z.string().describe('Name in the `credential` block whose value is the private key, PEM'),
        })
        .optional()
        .describe('Client certificate'),
    })
    .prefault({})
    .describe('TLS toward the server'),
  read_only: z
    .boolean()
    .default(false)
    .describe(
      'Refuses whatever is not known to read alone, and has the server run every transaction read-only',
    ),
  require_tls: z
    .boolean()
    .default(false)
    .describe('Takes no client without TLS, loopback included. Others never get in without it'),
  timeouts: z
    .strictObject({
      connect: duration().prefault('10s').describe('To connect and log in to the server'),
      login: duration().prefault('30s').describe('For a client to say who it is'),
    })
    .prefault({})
    .describe('How long to wait'),
  limits: z
    .strictObject({
      message: byteSize()
        .prefault('16MiB')
        .describe('Longest message of a client (statement, bound values, COPY data)'),
      row: byteSize().prefault('64MiB').describe('Longest message of the server (a row)'),
      recorded_rows: z
        .int()
        .min(0)
        .max(1_000_000_000)
        .optional()
        .describe(
          'Most rows of one result that are recorded; the rest is counted. A rule may ask for fewer. `0`: counts alone; default: all',
        ),
      sessions: z.int().min(1).default(1000).describe('Clients at once'),
    })
    .prefault({})
    .describe('What a session may need'),
  hold: duration()
    .prefault('10m')
    .describe(
      'How long a statement that waits for a person is held, outside of transactions; `0s`: not at all',
    ),
})

/** Parsed: sizes in bytes, durations in milliseconds. */
export type PostgresSettings = z.output<typeof postgresSettings>
