import type { SendResult } from '../../export/sink.ts'
import type { StateStore } from '../../storage/storage.ts'
import type { Notice } from './notice.ts'
import type { Notifier } from './notifier.ts'
import { type Answer, openPoster, resultOf } from './post.ts'
import { slackMessage } from './slack-message.ts'

export interface SlackOptions {
  readonly name: string
  /** Either a bot token and a channel, or the address of an incoming webhook. */
  readonly to:
    | { readonly botToken: () => string | Promise<string>; readonly channel: string }
    | { readonly webhookUrl: () => string | Promise<string> }
  readonly apiUrl: string
  /** Clicks come back to this gateway. */
  readonly buttons: boolean
  readonly timeoutMs: number
  /** Keeps where messages are, so that they can be updated, also after a restart. */
  readonly state: StateStore
}

interface Posted {
  readonly channel: string
  readonly ts: string
}

const space = 'slack-message'
/** What Slack says when a person has to act; anything else about the message itself is a rejection. */
const rejections = new Set([
  'invalid_blocks',
  'invalid_blocks_format',
  'msg_too_long',
  'no_text',
  'invalid_arguments',
  'msg_blocks_too_long',
])
const passing = new Set([
  'ratelimited',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
])

/** Posts a message for a request and rewrites it, without its buttons, once it is decided. */
export function createSlackNotifier(options: SlackOptions): Notifier {
  const { to, state } = options
  const poster = openPoster(options.timeoutMs)
  const keyOf = (notice: Notice): string => `${options.name}/${notice.id}`

  async function call(
    method: string,
    message: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<{ result: SendResult; posted?: Posted }> {
    if ('webhookUrl' in to) return { result: await throughWebhook(message, signal) }
    const answer = await poster.post(
      new URL(method, options.apiUrl).href,
      { body: JSON.stringify(message), headers: { authorization: `Bearer ${await to.botToken()}` } },
      signal,
    )
    return 'status' in answer ? readApiAnswer(answer) : { result: answer }
  }

  async function throughWebhook(message: Record<string, unknown>, signal: AbortSignal): Promise<SendResult> {
    const url = 'webhookUrl' in to ? await to.webhookUrl() : ''
    if (!URL.canParse(url)) return { result: 'refused', detail: 'the address is none' }
    const answer = await poster.post(url, { body: JSON.stringify(message) }, signal)
    return 'status' in answer ? resultOf(answer) : answer
  }

  return {
    name: options.name,
    type: 'slack',
    async tell(notice, signal) {
      const known = await state.get<Posted>(space, keyOf(notice))
      const message = slackMessage(notice, options.buttons)
      if (known !== undefined && notice.topic === 'decisions') {
        const { result } = await call('chat.update', { ...message, ...known.value }, signal)
        if (result.result === 'accepted') await state.delete(space, keyOf(notice))
        return result
      }
      if (known !== undefined) return { result: 'accepted' }
      const channel = 'channel' in to ? { channel: to.channel } : {}
      const { result, posted } = await call('chat.postMessage', { ...message, ...channel }, signal)
      if (posted !== undefined && notice.open) await state.put(space, keyOf(notice), posted, 0)
      return result
    },
    close: () => poster.close(),
  }
}

/** Slack answers 200 to nearly everything; `ok` and `error` are what counts. */
function readApiAnswer(answer: Answer): { result: SendResult; posted?: Posted } {
  if (answer.status !== 200) return { result: resultOf(answer) }
  let said: { ok?: unknown; error?: unknown; channel?: unknown; ts?: unknown }
  try {
    said = (JSON.parse(answer.text) ?? {}) as typeof said
  } catch {
    return { result: { result: 'retry', detail: 'the answer is not JSON' } }
  }
  if (said.ok === true) {
    const { channel, ts } = said
    const posted = typeof channel === 'string' && typeof ts === 'string' ? { posted: { channel, ts } } : {}
    return { result: { result: 'accepted' }, ...posted }
  }
  const error = typeof said.error === 'string' ? said.error.slice(0, 100) : 'unknown'
  if (passing.has(error)) return { result: { result: 'retry', detail: error } }
  // Somebody deleted the message: there is nothing to update, and nothing to wait for.
  if (error === 'message_not_found') return { result: { result: 'accepted' } }
  return { result: { result: rejections.has(error) ? 'rejected' : 'refused', detail: error } }
}
