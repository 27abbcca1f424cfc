import type { NotifierConfig, NotifierConfigOf } from '../../config/approvals.ts'
import type { StateStore } from '../../storage/storage.ts'
import { createEmailNotifier } from './email.ts'
import type { Notifier } from './notifier.ts'
import { createSlackNotifier } from './slack.ts'
import { createTeamsNotifier } from './teams.ts'
import { createWebhookNotifier } from './webhook.ts'

export interface NotifierContext {
  /** Opens a reference of the configuration; the result is asked for the value before each use. */
  readonly secret: (reference: string) => { read(): string | Promise<string> }
  /** Content of a configured file. */
  readonly readFile: (path: string) => string
  readonly state: StateStore
}

/** Opens nothing yet: a notifier that can't be reached is a state, not a fault of start-up. */
export function createNotifier(config: NotifierConfig, context: NotifierContext): Notifier {
  const { name, timeout: timeoutMs } = config
  switch (config.type) {
    case 'webhook': {
      const secret = context.secret(config.secret)
      return createWebhookNotifier({ name, timeoutMs, url: config.url, secret: () => secret.read() })
    }
    case 'teams': {
      const url = context.secret(config.url)
      return createTeamsNotifier({ name, timeoutMs, url: () => url.read() })
    }
    case 'slack':
      return slackFrom(config, context)
    case 'email':
      return emailFrom(config, context)
  }
}

function slackFrom(config: NotifierConfigOf<'slack'>, context: NotifierContext): Notifier {
  const { name, timeout: timeoutMs, api_url: apiUrl, channel = '' } = config
  const token = config.bot_token === undefined ? undefined : context.secret(config.bot_token)
  const webhook = context.secret(config.webhook_url ?? config.bot_token ?? '')
  return createSlackNotifier({
    name,
    timeoutMs,
    apiUrl,
    buttons: config.signing_secret !== undefined,
    state: context.state,
    to:
      token === undefined ? { webhookUrl: () => webhook.read() } : { channel, botToken: () => token.read() },
  })
}

function emailFrom(config: NotifierConfigOf<'email'>, context: NotifierContext): Notifier {
  const { name, host, port, tls, ca, username, from, to, timeout: timeoutMs } = config
  const password = config.password === undefined ? undefined : context.secret(config.password)
  return createEmailNotifier({
    name,
    from,
    to,
    smtp: {
      host,
      port,
      tls,
      timeoutMs,
      ...(ca === undefined ? {} : { ca: context.readFile(ca) }),
      ...(username === undefined ? {} : { username }),
    },
    ...(password === undefined ? {} : { password: () => password.read() }),
  })
}
