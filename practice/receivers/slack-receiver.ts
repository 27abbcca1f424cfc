import { createHmac } from 'node:crypto'
import { type HttpReceiver, startHttpReceiver } from './http-receiver.ts'

export interface SlackMessage {
  readonly ts: string
  readonly channel: string
  text: string
  blocks: readonly Record<string, unknown>[]
  updates: number
}

export interface SlackReceiver {
  readonly http: HttpReceiver
  readonly messages: Map<string, SlackMessage>
  /** What `response_url` was told, in order. */
  readonly ephemeral: Record<string, unknown>[]
  /** Answers `ok: false` with this. */
  error: string | undefined
  /** A click as Slack sends it: form-encoded, signed with the app's secret. */
  click(of: {
    readonly action: string
    readonly value: string
    readonly user: string
    readonly secret: string
    readonly at?: number
  }): { readonly headers: Record<string, string>; readonly body: string }
}

/** A Slack that knows `chat.postMessage`, `chat.update`, and what `response_url` is for. */
export async function startSlackReceiver(token: string): Promise<SlackReceiver> {
  const messages = new Map<string, SlackMessage>()
  const ephemeral: Record<string, unknown>[] = []
  let last = 0
  const http = await startHttpReceiver(({ path, headers, body }) => {
    const said = JSON.parse(body.toString('utf8')) as Record<string, unknown>
    if (path.startsWith('/response/')) {
      ephemeral.push(said)
      return { status: 200, body: 'ok' }
    }
    if (headers.authorization !== `Bearer ${token}`) return answer({ ok: false, error: 'invalid_auth' })
    if (slack.error !== undefined) return answer({ ok: false, error: slack.error })
    if (path === '/chat.postMessage') {
      const ts = `1763700000.${String(++last).padStart(6, '0')}`
      const { channel, text, blocks } = said as unknown as SlackMessage
      messages.set(ts, { ts, channel, text, blocks, updates: 0 })
      return answer({ ok: true, channel: 'C0DEMO', ts })
    }
    const known = messages.get(String(said['ts']))
    if (path !== '/chat.update' || known === undefined)
      return answer({ ok: false, error: 'message_not_found' })
    known.text = String(said['text'])
    known.blocks = said['blocks'] as SlackMessage['blocks']
    known.updates++
    return answer({ ok: true, channel: 'C0DEMO', ts: known.ts })
  })
  const slack: SlackReceiver = {
    http,
    messages,
    ephemeral,
    error: undefined,
    click({ action, value, user, secret, at = Date.now() }) {
      const payload = {
        type: 'block_actions',
        team: { id: 'T0DEMO', domain: 'demo' },
        user: { id: user, username: user.toLowerCase(), team_id: 'T0DEMO' },
        actions: [{ type: 'button', action_id: action, value }],
        response_url: `${http.url}response/${user}`,
      }
      const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
      const timestamp = String(Math.floor(at / 1000))
      const mac = createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')
      return {
        body,
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-slack-request-timestamp': timestamp,
          'x-slack-signature': `v0=${mac}`,
        },
      }
    },
  }
  return slack
}

function answer(said: Record<string, unknown>) {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(said) }
}
