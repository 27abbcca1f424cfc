/** Settings that every connection of the HTTP family has, whatever its flavour. Flavours spread `commonSettings`. */
import { z } from 'zod'
import { byteSize, duration } from '../../config/units.ts'

const tls = z
  .strictObject({
    ca: z
      .string()
      .optional()
      .describe('Certificate authorities of the upstream: PEM text or a file. Default: those of Node.'),
    client: z
      .strictObject({
        certificate: z
          .string()
          .describe('Name in the `credential` block whose value is the certificate, PEM'),
        key: z.string().describe('Name in the `credential` block whose value is the private key, PEM'),
      })
      .optional()
      .describe('Client certificate for mutual TLS'),
    server_name: z
      .string()
      .optional()
      .describe('Name to ask for (SNI) and to verify, if not that of the URL'),
    verify: z
      .boolean()
      .default(true)
      .describe('Verify the upstream. Off only for tests: anyone can then pose as it.'),
  })
  .prefault({})

const timeouts = z
  .strictObject({
    connect: duration().prefault('10s').describe('To connect to the upstream, TLS included'),
    headers: duration().prefault('5m').describe('From the end of the request to the head of the answer'),
    idle: duration()
      .prefault('5m')
      .describe('Between two pieces of an answer; 0 for none (long-lived streams)'),
    request_body: duration()
      .prefault('5m')
      .describe('For the whole of a body that must be read before it is judged'),
  })
  .prefault({})

const limits = z
  .strictObject({
    url_length: byteSize().prefault('16KiB').describe('Longest request target; more is 414'),
    headers: byteSize().prefault('64KiB').describe('All header lines of a request together; more is 431'),
    header_count: z
      .int()
      .min(1)
      .max(2000)
      .default(200)
      .describe('Most header lines of a request; more is 431'),
    body: byteSize().prefault('1GiB').describe('Largest request body; more is 413'),
    judged_body: byteSize()
      .prefault('1MiB')
      .describe(
        'Largest request body (also once decoded) that is read whole because a rule needs it; more is 413',
      ),
    response_headers: byteSize()
      .prefault('64KiB')
      .describe('All header lines of an answer together; more is 502'),
    message: byteSize().prefault('1MiB').describe('Largest WebSocket message; more closes with 1009'),
  })
  .prefault({})

const headers = z
  .strictObject({
    strip: z.array(z.string()).default([]).describe('More request headers that never go upstream'),
    pass: z
      .array(z.string())
      .default([])
      .describe(
        'Credential-like request headers to pass all the same (`X-Api-Key`); never the one with our token',
      ),
    cookies: z
      .array(z.string())
      .default([])
      .describe('Names of request cookies to pass; others are stripped'),
    set_cookies: z
      .array(z.string())
      .default([])
      .describe('Names of cookies that the upstream may set on the client; others are stripped'),
    forwarded: z
      .enum(['strip', 'append'])
      .default('strip')
      .describe(
        '`append` tells the upstream the client address in X-Forwarded-For; what clients claim is dropped',
      ),
    preserve_host: z
      .boolean()
      .default(false)
      .describe('Send the Host that the client used, not that of the URL'),
  })
  .prefault({})

/** The options to spread into a flavour's own `z.strictObject`. */
export const commonSettings = {
  tls: tls.describe('TLS toward the upstream'),
  timeouts: timeouts.describe('How long to wait for the upstream'),
  limits: limits.describe('What a request may be'),
  headers: headers.describe('Which headers pass'),
  share_limits: z
    .boolean()
    .default(true)
    .describe(
      'Share the limit that the upstream tells in `X-RateLimit-*` fairly between identities, unless each has a credential of its own',
    ),
  pool: z
    .strictObject({
      connections: z
        .int()
        .min(1)
        .max(10_000)
        .default(128)
        .describe('Most upstream connections per worker and host'),
      keep_alive: duration().prefault('4s').describe('How long an idle upstream connection is kept'),
    })
    .prefault({})
    .describe('Upstream connections'),
  hold: z
    .strictObject({
      default: duration().prefault('25s').describe('For clients that do not say'),
      longest: duration()
        .prefault('10m')
        .describe('Most that a client gets which says `Prefer: wait=<seconds>` (RFC 7240)'),
      profiles: z
        .array(
          z.strictObject({
            agent: z
              .string()
              .min(1)
              .max(200)
              .describe('User-Agent, `*` for any text, without regard to case: `my-agent/*`'),
            hold: duration().describe('How long a call of such a client is held; less than its own time-out'),
          }),
        )
        .max(200)
        .default([])
        .describe(
          'By client; the first that fits counts, before the built-in ones: Datadog’s clients and curl 5m, ' +
            'Node’s fetch 280s, okhttp 8s, httpx 4s',
        ),
      calls: z
        .int()
        .min(0)
        .max(100_000)
        .default(10_000)
        .describe('Most calls held at once; further ones are told at once to come again'),
      bytes: byteSize().prefault('256MiB').describe('Most bytes of request bodies held at once, likewise'),
    })
    .prefault({})
    .describe('How long a call that waits for a person is held before the client is told to come again'),
  websocket: z.boolean().default(true).describe('Whether WebSocket upgrades are taken'),
}

const shape = z.strictObject(commonSettings)

/** The common settings, parsed: sizes in bytes, durations in milliseconds. */
export type CommonSettings = z.output<typeof shape>

/** Parses the common part alone. */
export function parseCommonSettings(value: unknown): CommonSettings {
  return shape.parse(value)
}
