import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Approvals } from '../approvals/approvals.ts'
import { createNotifier } from '../approvals/notify/create-notifier.ts'
import { createNotifications } from '../approvals/notify/notifications.ts'
import { openPoster } from '../approvals/notify/post.ts'
import { SlackInteractions } from '../approvals/slack/interactions.ts'
import { SlackLinks } from '../approvals/slack/links.ts'
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { LoadedConfig } from '../config/load.ts'
import { openSecret } from '../credentials/references.ts'
import type { Storage } from '../storage/storage.ts'
import type { LiveGateway } from './live-gateway.ts'

export interface AskingParts {
  readonly loaded: LoadedConfig
  readonly storage: Storage
  readonly audit: Audit
  readonly clock: Clock
  readonly approvals: Approvals
  readonly gateway: LiveGateway
}

const slackTimeoutMs = 10_000

/** How people are told and, in Slack, asked: as configured at the start. */
export function openNotifications({ loaded, storage, audit, clock, approvals, gateway }: AskingParts) {
  const { config, base } = loaded
  const { state, log } = storage
  const secret = (reference: string) => openSecret(reference, base)
  const context = { secret, state, readFile: (path: string) => readFileSync(resolve(base, path), 'utf8') }
  const notifications = createNotifications({
    log,
    audit,
    state,
    clock,
    approvals,
    publicUrl: () => gateway.publicUrl,
    notifiers: config.approvals.notifiers.map(each => ({
      notifier: createNotifier(each, context),
      about: each.about,
    })),
  })
  const links = new SlackLinks({ state, audit, clock, lastsMs: config.approvals.slack_link })
  const poster = openPoster(slackTimeoutMs)
  const interactions = new SlackInteractions({
    apps: config.approvals.notifiers.flatMap(each => {
      if (each.type !== 'slack' || each.signing_secret === undefined) return []
      const signing = secret(each.signing_secret)
      return [{ signingSecret: () => signing.read(), apiUrl: each.api_url }]
    }),
    approvals,
    links,
    clock,
    poster,
    isApprover: subject => gateway.rolesOf(subject).has('approver'),
    trusts: subject => gateway.trusts(subject),
  })
  return {
    notifications,
    slack: { interactions, links },
    async stop(graceMs: number): Promise<void> {
      await notifications.stop(graceMs)
      await poster.close()
    },
  }
}
