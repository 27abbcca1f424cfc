import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

const tolerance = 300

/** Seconds since the epoch at which Slack says it signed; undefined where that is none, or more than 5 minutes off. */
export function signedAt(headers: IncomingHttpHeaders, nowMs: number): number | undefined {
  const stamp = headers['x-slack-request-timestamp']
  if (typeof stamp !== 'string' || !/^\d{1,12}$/.test(stamp)) return undefined
  return Math.abs(nowMs / 1000 - Number(stamp)) <= tolerance ? Number(stamp) : undefined
}

/** Whether `X-Slack-Signature` (v0) is this secret's over the very bytes of the body. Compares in constant time. */
export function isSigned(headers: IncomingHttpHeaders, body: Buffer, secret: string): boolean {
  const given = headers['x-slack-signature']
  const stamp = headers['x-slack-request-timestamp']
  if (typeof given !== 'string' || typeof stamp !== 'string' || secret === '') return false
  const expected = `v0=${createHmac('sha256', secret).update(`v0:${stamp}:`).update(body).digest('hex')}`
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected))
}
