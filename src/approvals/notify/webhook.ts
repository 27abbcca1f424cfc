import { createHash, createHmac } from 'node:crypto'
import type { Notice } from './notice.ts'
import type { Notifier } from './notifier.ts'
import { openPoster, resultOf } from './post.ts'

export interface WebhookOptions {
  readonly name: string
  readonly url: string
  /** `whsec_` and base64; asked before each message. */
  readonly secret: () => string | Promise<string>
  readonly timeoutMs: number
}

/**
 * POSTs notices as Standard Webhooks (specification 1.0): `webhook-id` is the same in every attempt of the same notice,
 * `webhook-signature` is HMAC-SHA256 over `<id>.<timestamp>.<body>`.
 */
export function createWebhookNotifier(options: WebhookOptions): Notifier {
  const poster = openPoster(options.timeoutMs)
  return {
    name: options.name,
    type: 'webhook',
    async tell(notice, signal) {
      const key = keyOf(await options.secret())
      if (key === undefined)
        return { result: 'refused', detail: 'the secret is not of the form whsec_<base64 of 24 to 64 bytes>' }
      const body = Buffer.from(JSON.stringify(bodyOf(notice)))
      const id = `msg_${createHash('sha256').update(notice.entry).digest('hex').slice(0, 32)}`
      const timestamp = String(Math.floor(Date.now() / 1000))
      const mac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')
      const headers = {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${mac}`,
      }
      const answer = await poster.post(options.url, { body, headers }, signal)
      return 'status' in answer ? resultOf(answer) : answer
    },
    close: () => poster.close(),
  }
}

function bodyOf(notice: Notice): Record<string, unknown> {
  const { event, at, facts, topic: _topic, ...data } = notice
  const named = Object.fromEntries(facts.map(([name, value]) => [name.toLowerCase(), value]))
  return { type: event, timestamp: at, data: { ...data, facts: named } }
}

function keyOf(secret: string): Buffer | undefined {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : undefined
  return key !== undefined && key.length >= 24 && key.length <= 64 ? key : undefined
}
