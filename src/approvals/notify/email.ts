import type { SendResult } from '../../export/sink.ts'
import type { Notice } from './notice.ts'
import type { Notifier } from './notifier.ts'
import { sendMail, type SmtpOptions, SmtpRefusal } from './smtp.ts'

export interface EmailOptions {
  readonly name: string
  readonly smtp: Omit<SmtpOptions, 'password'>
  readonly password?: () => string | Promise<string>
  readonly from: string
  readonly to: readonly string[]
}

/** Sends notices as plain text, one message to all recipients. */
export function createEmailNotifier(options: EmailOptions): Notifier {
  const { from, to, smtp } = options
  return {
    name: options.name,
    type: 'email',
    async tell(notice, signal): Promise<SendResult> {
      const password = await options.password?.()
      try {
        const message = mailOf(notice, { from, to, date: new Date() })
        const account = password === undefined ? {} : { password }
        await sendMail({ ...smtp, ...account }, { from, to, message }, signal)
        return { result: 'accepted' }
      } catch (error) {
        if (error instanceof SmtpRefusal) return { result: error.meaning, detail: error.message }
        const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
        return { result: 'retry', detail: `connection: ${code ?? (error as Error).name}` }
      }
    },
    close: () => Promise.resolve(),
  }
}

export interface Envelope {
  readonly from: string
  readonly to: readonly string[]
  readonly date: Date
}

/**
 * An Internet message (RFC 5322) in ASCII: what is not goes in encoded words (RFC 2047) and base64. Messages about the
 * same approval form a thread.
 */
export function mailOf(notice: Notice, { from, to, date }: Envelope): string {
  const domain = from.slice(from.lastIndexOf('@') + 1)
  const thread = `<${notice.id}@${domain}>`
  const headers = [
    `Date: ${date.toUTCString().replace('GMT', '+0000')}`,
    `From: Sallyport <${from}>`,
    `To: ${to.join(',\r\n ')}`,
    `Subject: ${encodeWords(notice.title)}`,
    `Message-ID: ${notice.open ? thread : `<${notice.id}.${notice.event}@${domain}>`}`,
    ...(notice.open ? [] : [`In-Reply-To: ${thread}`, `References: ${thread}`]),
    'Auto-Submitted: auto-generated',
    ...(notice.urgent ? ['Importance: high', 'X-Priority: 1'] : []),
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
  ]
  const body = Buffer.from(textOf(notice)).toString('base64').replaceAll(/.{76}/g, '$&\r\n')
  return `${headers.join('\r\n')}\r\n\r\n${body}\r\n`
}

/** RFC 2047 section 2: words of at most 75 characters, never cut within a character. Plain ASCII stays as it is. */
export function encodeWords(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text) && text.length <= 200 && !text.includes('=?')) return text
  const words: string[] = []
  let word = ''
  for (const each of text) {
    if (Buffer.byteLength(word + each) > 45) {
      words.push(word)
      word = ''
    }
    word += each
  }
  return [...words, word].map(each => `=?utf-8?B?${Buffer.from(each).toString('base64')}?=`).join('\r\n ')
}

function textOf({ title, facts, changes, cut, link, todo }: Notice): string {
  const width = Math.max(0, ...facts.map(([name]) => name.length))
  return [
    title,
    '',
    ...facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    ...(changes.length === 0 ? [] : ['', 'What will change:']),
    ...changes.flatMap(({ path, before, after }) => [
      ...(before === undefined ? [] : [`  - ${path}: ${before}`]),
      ...(after === undefined ? [] : [`  + ${path}: ${after}`]),
    ]),
    ...(cut ? ['  … and more'] : []),
    '',
    link,
    ...(todo === undefined ? [] : [todo]),
    '',
  ].join('\r\n')
}
