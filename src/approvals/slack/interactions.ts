/**
 * Clicks in Slack. What counts is who the clicker is here: Slack's signature proves that Slack sent it, the link says
 * whose Slack user that is, and the vote is that person's under the very same rules as any other.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import type { Clock } from '../../clock.ts'
import { asGatewayError, GatewayError } from '../../errors.ts'
import type { Subject } from '../../model/subject.ts'
import type { Approvals } from '../approvals.ts'
import type { Poster } from '../notify/post.ts'
import { approveAction, denyAction, escape } from '../notify/slack-message.ts'
import type { SlackLinks, SlackUser } from './links.ts'
import { isSigned, signedAt } from './signature.ts'

const mostRemembered = 10_000
const rememberMs = 601_000

export interface SlackApp {
  readonly signingSecret: () => string | Promise<string>
  readonly apiUrl: string
}

export interface SlackInteractionsParts {
  readonly apps: readonly SlackApp[]
  readonly approvals: Pick<Approvals, 'vote'>
  readonly links: SlackLinks
  readonly clock: Clock
  readonly poster: Poster
  readonly isApprover: (subject: Subject) => boolean
  /** Whether identities of this issuer are still accepted. */
  readonly trusts: (subject: Subject) => boolean
}

const word = z.string().min(1).max(200)
const payloadSchema = z.looseObject({
  type: z.literal('block_actions'),
  team: z.looseObject({ id: word }),
  user: z.looseObject({
    id: word,
    username: z.string().max(200).optional(),
    name: z.string().max(200).optional(),
  }),
  actions: z
    .array(z.looseObject({ action_id: word, value: word.optional() }))
    .min(1)
    .max(10),
  response_url: z.url().max(1000),
})

export class SlackInteractions {
  readonly #parts: SlackInteractionsParts
  /** Signatures that were taken, and until when they are remembered: each is taken once. */
  readonly #taken = new Map<string, number>()

  constructor(parts: SlackInteractionsParts) {
    this.#parts = parts
  }

  /**
   * Takes one request of Slack's by its exact bytes. Throws `denied` for what Slack did not sign or signed too long
   * ago, `conflict` for a replay, `invalid-request`. What happens then, the clicker is told in Slack.
   */
  async take(headers: IncomingHttpHeaders, body: Buffer): Promise<void> {
    const app = await this.#verify(headers, body)
    const payload = read(body)
    const [action] = payload.actions
    const slack = {
      team: payload.team.id,
      user: payload.user.id,
      username: payload.user.username ?? payload.user.name ?? payload.user.id,
    }
    const effect = { [approveAction]: 'approve', [denyAction]: 'deny' }[action!.action_id] as
      | 'approve'
      | 'deny'
      | undefined
    if (effect === undefined || action!.value === undefined) return
    const text = await this.#vote(slack, action!.value, effect)
    void this.#answer(app, payload.response_url, text)
  }

  async #verify(headers: IncomingHttpHeaders, body: Buffer): Promise<SlackApp> {
    const { apps, clock } = this.#parts
    const now = clock.now()
    if (apps.length === 0) throw new GatewayError('not-found', { detail: 'no Slack app is configured' })
    if (signedAt(headers, now) === undefined) throw unsigned()
    for (const app of apps) {
      if (!isSigned(headers, body, await app.signingSecret())) continue
      this.#takeOnce(String(headers['x-slack-signature']), now)
      return app
    }
    throw unsigned()
  }

  #takeOnce(signature: string, now: number): void {
    for (const [old, until] of this.#taken) {
      if (until > now) break
      this.#taken.delete(old)
    }
    if (this.#taken.has(signature)) throw new GatewayError('conflict', { detail: 'this was taken already' })
    if (this.#taken.size >= mostRemembered) throw new GatewayError('overloaded')
    this.#taken.set(signature, now + rememberMs)
  }

  async #vote(slack: SlackUser, id: string, effect: 'approve' | 'deny'): Promise<string> {
    const { links, approvals, isApprover, trusts } = this.#parts
    try {
      const subject = await links.find(slack)
      if (subject === undefined || !trusts(subject)) {
        const command = `sallyport approvals link-slack ${links.offer(slack)}`
        return `Say once who you are here: sign in with \`sallyport login\`, run \`${command}\`, and click again.`
      }
      const ballot = { effect, channel: 'slack' as const, isApprover: isApprover(subject) }
      const { state } = await approvals.vote(id, subject, ballot)
      return state === 'pending' ? 'Counted; more approvals are needed.' : `It is ${state}.`
    } catch (error) {
      const { code, detail, title } = asGatewayError(error)
      if (code === 'invalid-request')
        return `This rule asks for a reason: \`sallyport approvals ${effect} ${escape(id)} --reason "..."\``
      return `Not counted: ${escape(detail ?? title)}.`
    }
  }

  /** To Slack alone, and to nobody but the clicker. A message that is lost loses nothing: the vote is in the log. */
  async #answer(app: SlackApp, responseUrl: string, text: string): Promise<void> {
    if (!isOf(app, new URL(responseUrl))) return
    const body = JSON.stringify({ response_type: 'ephemeral', replace_original: false, text })
    await this.#parts.poster.post(responseUrl, { body }, AbortSignal.timeout(10_000))
  }
}

function unsigned(): GatewayError {
  return new GatewayError('denied', { detail: 'no Slack app that is configured signed this, just now' })
}

/** Only the service that is configured is ever called back. */
function isOf(app: SlackApp, url: URL): boolean {
  const api = new URL(app.apiUrl)
  const hooks = `https://hooks.${api.hostname.replace(/^www\./, '')}`
  return url.origin === api.origin || url.origin === hooks
}

function read(body: Buffer): z.infer<typeof payloadSchema> {
  try {
    const text = new URLSearchParams(body.toString('utf8')).get('payload')
    return payloadSchema.parse(JSON.parse(text ?? ''))
  } catch {
    throw new GatewayError('invalid-request', { detail: 'that is no click of ours' })
  }
}
