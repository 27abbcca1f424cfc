import { createHmac, timingSafeEqual } from 'node:crypto'
import { type HttpReceiver, startHttpReceiver } from './http-receiver.ts'

/** Checks deliveries as the Standard Webhooks specification tells receivers to: signature, and five minutes. */
export function startWebhookReceiver(secret: string): Promise<HttpReceiver> {
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  return startHttpReceiver(({ headers, body }) => {
    const id = String(headers['webhook-id'])
    const timestamp = String(headers['webhook-timestamp'])
    if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) throw new Error('the timestamp is too far off')
    const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest()
    const given = String(headers['webhook-signature'])
      .split(' ')
      .filter(each => each.startsWith('v1,'))
    const matches = given.some(each => {
      const mac = Buffer.from(each.slice(3), 'base64')
      return mac.length === expected.length && timingSafeEqual(mac, expected)
    })
    if (!matches) throw new Error('no signature matches')
    return { status: 204 }
  })
}
