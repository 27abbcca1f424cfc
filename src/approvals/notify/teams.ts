import type { Notice } from './notice.ts'
import type { Notifier } from './notifier.ts'
import { openPoster, resultOf } from './post.ts'

export interface TeamsOptions {
  readonly name: string
  /** Address of the workflow, which carries its own key. */
  readonly url: () => string | Promise<string>
  readonly timeoutMs: number
}

/** Posts adaptive cards (schema 1.4) to a workflow that starts "when a Teams webhook request is received". */
export function createTeamsNotifier(options: TeamsOptions): Notifier {
  const poster = openPoster(options.timeoutMs)
  return {
    name: options.name,
    type: 'teams',
    async tell(notice, signal) {
      const body = JSON.stringify({
        type: 'message',
        attachments: [
          {
            contentType: 'application/vnd.microsoft.card.adaptive',
            contentUrl: null,
            content: cardOf(notice),
          },
        ],
      })
      const url = await options.url()
      if (!URL.canParse(url)) return { result: 'refused', detail: 'the address is none' }
      const answer = await poster.post(url, { body }, signal)
      return 'status' in answer ? resultOf(answer) : answer
    },
    close: () => poster.close(),
  }
}

export function cardOf(notice: Notice): Record<string, unknown> {
  const { title, urgent, facts, changes, cut, link, open } = notice
  const lines = changes.flatMap(({ path, before, after }) => [
    ...(before === undefined ? [] : [line(`− ${path}: ${before}`, 'attention')]),
    ...(after === undefined ? [] : [line(`+ ${path}: ${after}`, 'good')]),
  ])
  return {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    body: [
      {
        type: 'TextBlock',
        text: escape(title),
        weight: 'bolder',
        size: 'medium',
        wrap: true,
        color: urgent ? 'attention' : 'default',
      },
      ...(facts.length === 0
        ? []
        : [
            {
              type: 'FactSet',
              facts: facts.map(([name, value]) => ({ title: name, value: escape(value) })),
            },
          ]),
      ...lines,
      ...(cut ? [line('and more', 'default')] : []),
    ],
    actions: [{ type: 'Action.OpenUrl', title: open ? 'Look at it and decide' : 'Look at it', url: link }],
  }
}

function line(text: string, color: string): Record<string, unknown> {
  return { type: 'TextBlock', text: escape(text), fontType: 'monospace', wrap: true, spacing: 'none', color }
}

/** Cards read a part of Markdown: a name that an agent chose must not become a link or a mention. */
function escape(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]()#+\-.!|<>~]/g, each => `\\${each}`).replaceAll('&', '&amp;')
}
