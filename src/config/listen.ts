import { z } from 'zod'
import { byteSize, duration } from './units.ts'

const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'write host:port, such as 127.0.0.1:8080 or [::1]:8443')

export const listenSection = z
  .array(
    z.strictObject({
      address: address.describe('host:port to listen on; port 0 takes a free one'),
      tls: z
        .strictObject({
          certificate: z.string().describe('PEM file with the certificate and its chain'),
          key: z.string().describe('PEM file with the private key'),
          clients: z
            .strictObject({
              issuer: z.string().describe('Name in `identity.certificates`: whose certificates count here'),
              require: z
                .boolean()
                .default(false)
                .describe('Turns away in the handshake who shows none, a token or not'),
            })
            .optional()
            .describe('Asks clients for a certificate, which then says who they are in place of a token'),
        })
        .optional()
        .describe('Speaks HTTPS, HTTP/2 included. Without it only loopback addresses are accepted'),
      allow_plain: z
        .boolean()
        .default(false)
        .describe('Accepts plain HTTP on an address that is not loopback: only behind a proxy that ends TLS'),
      connection: z
        .string()
        .optional()
        .describe('Serves this one connection alone, so that clients need no path prefix'),
    }),
  )
  .min(1)
  .default([{ address: '127.0.0.1:8080', allow_plain: false }])
  .describe('Where the gateway listens: the API, the console and all connections share these')

export const limitsSection = z
  .strictObject({
    header_bytes: byteSize()
      .default(64 * 1024)
      .describe('Most bytes of a request head; beyond: 431. A connection may allow less'),
    head_timeout: duration()
      .default(10_000)
      .describe('How long a client may take to send a request head; beyond: 408'),
    request_timeout: duration()
      .default(300_000)
      .describe('How long a client may take to send a whole request; beyond: 408'),
    keep_alive: duration().default(75_000).describe('How long an idle client connection is kept'),
    connections: z.number().int().min(1).default(10_000).describe('Most client connections at once'),
  })
  .prefault({})
  .describe('Limits of the listeners; what a request may be is set on each connection')

export type ListenConfig = z.infer<typeof listenSection>
export type LimitsConfig = z.infer<typeof limitsSection>
