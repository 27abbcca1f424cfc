import type { Notice } from './notice.ts'

/** Slack's limit for the text of a section is 3000 characters. */
const longestText = 2800

export const approveAction = 'sallyport-approve'
export const denyAction = 'sallyport-deny'

/** A notice in Block Kit. `buttons` where clicks come back to this gateway. */
export function slackMessage(notice: Notice, buttons: boolean): Record<string, unknown> {
  const { title, urgent, facts, changes, cut, link, open, todo, id } = notice
  const diff = changes
    .flatMap(({ path, before, after }) => [
      ...(before === undefined ? [] : [`- ${path}: ${before}`]),
      ...(after === undefined ? [] : [`+ ${path}: ${after}`]),
    ])
    .concat(cut ? ['… and more'] : [])
    .join('\n')
  const approvals = buttons && open && id.startsWith('ap_')
  return {
    text: escape(title),
    blocks: [
      section(`${urgent ? ':rotating_light: ' : ''}*${escape(title)}*`),
      ...(facts.length === 0
        ? []
        : [section(facts.map(([name, value]) => `*${name}*  ${escape(value)}`).join('\n'))]),
      ...(diff === ''
        ? []
        : [section(`\`\`\`${cutTo(escape(diff.replaceAll('`', "'")), longestText)}\`\`\``)]),
      ...(approvals ? [{ type: 'actions', elements: voteButtons(notice) }] : []),
      {
        type: 'context',
        elements: [{ type: 'mrkdwn', text: `<${link}|${id}>${todo === undefined ? '' : `  \`${todo}\``}` }],
      },
    ],
    unfurl_links: false,
    unfurl_media: false,
  }
}

function voteButtons({ id }: Notice): Record<string, unknown>[] {
  const confirm = {
    title: { type: 'plain_text', text: 'Approve this?' },
    text: { type: 'plain_text', text: 'It runs once, exactly as it is shown.' },
    confirm: { type: 'plain_text', text: 'Approve' },
    deny: { type: 'plain_text', text: 'Not now' },
  }
  return [
    {
      type: 'button',
      action_id: approveAction,
      style: 'primary',
      text: { type: 'plain_text', text: 'Approve' },
      value: id,
      confirm,
    },
    {
      type: 'button',
      action_id: denyAction,
      style: 'danger',
      text: { type: 'plain_text', text: 'Deny' },
      value: id,
    },
  ]
}

function section(text: string): Record<string, unknown> {
  return { type: 'section', text: { type: 'mrkdwn', text: cutTo(text, longestText + 20), verbatim: true } }
}

/** Slack's own rule for text that is no markup; formatting characters are made harmless as well. */
export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[*_~`]/g, each => `\u200B${each}\u200B`)
}

function cutTo(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text
}
