import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { type SmtpReceiverOptions, startSmtpReceiver } from '../../../practice/receivers/smtp-receiver.ts'
import { testCertificate } from '../../protocols/test-certificate.ts'
import { noticeOf } from '../testing/notices.ts'
import { createEmailNotifier, encodeWords, mailOf } from './email.ts'
import { stuffDots } from './smtp.ts'

const { signal } = new AbortController()
const account = { username: 'gw', password: 'hunter2-hunter2' }

async function setUp(t: TestContext, options: SmtpReceiverOptions, change: Record<string, unknown> = {}) {
  const receiver = await startSmtpReceiver(options)
  t.after(() => receiver.close())
  const tls = options.tls === undefined ? ('none' as const) : ('starttls' as const)
  const smtp = { host: 'localhost', port: receiver.port, tls, ca: testCertificate.cert, timeoutMs: 5000 }
  const notifier = createEmailNotifier({
    name: 'mail',
    smtp: { ...smtp, ...(options.login === undefined ? {} : { username: account.username }), ...change },
    ...(options.login === undefined ? {} : { password: () => account.password }),
    from: 'sallyport@example.com',
    to: ['sre@example.com', 'nobody@example.com'],
  })
  return { receiver, notifier }
}

for (const way of ['PLAIN', 'LOGIN'] as const) {
  test(`a message goes out under TLS, signed in by AUTH ${way}`, async t => {
    const { receiver, notifier } = await setUp(t, { tls: testCertificate, login: { ...account, way } })
    assert.deepEqual(await notifier.tell(noticeOf({}, { operation: 'v1.größe' }), signal), {
      result: 'accepted',
    })
    const [mail] = receiver.mails
    assert.ok(mail?.secure)
    assert.equal(mail.user, 'gw')
    assert.deepEqual(
      mail.to,
      ['sre@example.com'],
      'one recipient that is refused keeps nobody else from hearing',
    )
    assert.match(mail.message, /^[\x20-\x7e\r\n]*$/)
    const body = Buffer.from(mail.message.split('\r\n\r\n')[1]!, 'base64').toString('utf8')
    assert.ok(body.includes('v1.größe') && body.includes('+ options.thresholds.critical: 95'))
  })
}

for (const [fault, result] of [
  ['no-starttls', 'refused'],
  ['inject', 'refused'],
  ['greylist', 'retry'],
  ['reject-data', 'rejected'],
  ['no-recipients', 'refused'],
  ['garbage', 'retry'],
  ['silent', 'retry'],
] as const) {
  test(`a mail server with the fault ${fault}: ${result}, and no word of it elsewhere`, async t => {
    const timeoutMs = fault === 'silent' ? 200 : 5000
    const { receiver, notifier } = await setUp(t, { tls: testCertificate }, { timeoutMs })
    receiver.fault = fault
    const sent = await notifier.tell(noticeOf(), signal)
    assert.equal(sent.result, result, JSON.stringify(sent))
    assert.equal(receiver.mails.length, 0)
  })
}

test('P4: a wrong password waits for a person and is in nothing that is told', async t => {
  const login = { username: 'gw', password: 'another', way: 'PLAIN' as const }
  const { notifier } = await setUp(t, { tls: testCertificate, login })
  const sent = await notifier.tell(noticeOf(), signal)
  assert.deepEqual(sent, { result: 'refused', detail: 'sign-in: 535' })
})

test('a server whose certificate is of nobody we know gets neither password nor message', async t => {
  const login = { ...account, way: 'PLAIN' as const }
  const { receiver, notifier } = await setUp(t, { tls: testCertificate, login }, { ca: undefined })
  assert.equal((await notifier.tell(noticeOf(), signal)).result, 'retry')
  assert.equal(receiver.mails.length, 0)
})

test('headers stay one line each, whatever an agent writes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), text => {
      const notice = noticeOf({}, { operation: `v1.x${text}`, resource: text })
      const mail = mailOf(notice, { from: 'a@example.com', to: ['b@example.com'], date: new Date(0) })
      const [head] = mail.split('\r\n\r\n')
      assert.match(mail, /^[\x20-\x7e\r\n]*$/)
      assert.ok(mail.split('\r\n').every(line => line.length <= 998 && !/[\r\n]/.test(line)))
      const names = head!.split('\r\n').filter(line => !line.startsWith(' '))
      assert.deepEqual(
        names.map(line => line.split(':')[0]),
        [
          'Date',
          'From',
          'To',
          'Subject',
          'Message-ID',
          'Auto-Submitted',
          'MIME-Version',
          'Content-Type',
          'Content-Transfer-Encoding',
        ],
      )
    }),
    { numRuns: 100 },
  )
})

test('RFC 2047: words decode to what they were, each at most 75 characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 120 }), text => {
      const encoded = encodeWords(text)
      if (encoded === text) return
      const words = encoded.split('\r\n ')
      assert.ok(words.every(word => word.length <= 75))
      const decoded = words.map(word => Buffer.from(word.slice(10, -2), 'base64').toString('utf8')).join('')
      assert.equal(decoded, text)
    }),
    { numRuns: 200 },
  )
})

test('RFC 5321 section 4.5.2: dots are stuffed', () => {
  assert.equal(stuffDots('.a\r\n..\r\nb.\r\n.'), '..a\r\n...\r\nb.\r\n..\r\n')
})
