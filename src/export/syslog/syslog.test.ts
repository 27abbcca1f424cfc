import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer as createPlainServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { type Fault, testSink } from '../contract.ts'
import { recordOf } from '../testing/samples.ts'
import { createSyslogSink } from './index.ts'
import { syslogMessage } from './message.ts'

const directory = mkdtempSync(join(tmpdir(), 'sallyport-syslog-'))
const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
const files = ['-keyout', keyFile, '-out', certFile]
const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
execFileSync('openssl', [...kind, ...files, ...subject], { stdio: 'ignore' })
const [key, cert] = [readFileSync(keyFile), readFileSync(certFile)]

const header = { facility: 13, hostname: 'gw-1', appName: 'sallyport', enterprise: 32_473 }

/** Divides a stream by its octet counts; the last element is what is not whole. */
function framesOf(bytes: Buffer): { whole: Buffer[]; rest: Buffer } {
  const whole: Buffer[] = []
  let at = 0
  for (;;) {
    const space = bytes.indexOf(0x20, at)
    if (space < 0) break
    const end = space + 1 + Number(bytes.subarray(at, space).toString())
    if (end > bytes.length) break
    whole.push(bytes.subarray(space + 1, end))
    at = end
  }
  return { whole, rest: bytes.subarray(at) }
}

/** A receiver that keeps whole messages, whatever becomes of their connection. */
async function startReceiver(tls: boolean) {
  const messages: string[] = []
  let fault: Fault | undefined
  const sockets = new Set<Socket>()
  let plain = false
  const take = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    if (plain) return void socket.write('220 mail.example.com\r\n')
    if (fault === 'down') return void socket.destroy()
    if (fault === 'slow') return void socket.pause()
    let rest: Buffer = Buffer.alloc(0)
    let count = 0
    socket.on('data', (chunk: Buffer) => {
      const read = framesOf(Buffer.concat([rest, chunk]))
      rest = read.rest
      for (const frame of read.whole) {
        // One that reads a part and dies: what it has read counts, what it has not does not.
        if (fault === 'lost-answer' && ++count > 20) return void socket.destroy()
        messages.push(frame.toString())
      }
    })
    socket.on('end', () => socket.end())
  }
  const server = tls ? createTlsServer({ key, cert }, take) : createPlainServer({ allowHalfOpen: true }, take)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    messages,
    answerInPlain: () => void (plain = true),
    fail: (next: Fault | undefined) => void (fault = next),
    fault: () => fault,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

type Receiver = Awaited<ReturnType<typeof startReceiver>>

function open({ port }: Pick<Receiver, 'port'>, tls: boolean, timeoutMs = 10_000) {
  return createSyslogSink({
    ...header,
    name: 'far',
    host: '127.0.0.1',
    port,
    tls: tls ? async () => ({ ca: cert }) : undefined,
    acknowledge: 'close',
    timeoutMs,
    maxEvents: 500,
    maxBytes: 1_000_000,
  })
}

for (const tls of [true, false]) {
  testSink(`syslog, ${tls ? 'TLS' : 'TCP'}`, ['down', 'lost-answer', 'slow'], async () => {
    const receiver = await startReceiver(tls)
    return {
      open: () => open(receiver, tls, receiver.fault() === 'slow' ? 250 : 10_000),
      fail: receiver.fail,
      mend: () => receiver.fail(undefined),
      arrived: async () => receiver.messages.map(each => Number(/ seq="(\d+)"/.exec(each)![1])),
      close: receiver.close,
    }
  })
}

test('a receiver that nobody vouches for gets nothing, and waits for a person', async () => {
  const receiver = await startReceiver(true)
  const sink = createSyslogSink({
    ...header,
    name: 'far',
    host: '127.0.0.1',
    port: receiver.port,
    tls: async () => ({}),
    acknowledge: 'close',
    timeoutMs: 5000,
    maxEvents: 10,
    maxBytes: 100_000,
  })
  try {
    const record = recordOf({ kind: 'heartbeat' })
    const batch = [{ record, body: sink.encode(record, { now: 0, backfill: false }) }]
    assert.equal((await sink.send(batch, new AbortController().signal)).result, 'refused')
    assert.deepEqual(receiver.messages, [])
  } finally {
    await receiver.close()
  }
})

test('P7: a receiver that went away while this process was busy has not acknowledged anything', async () => {
  const server = createPlainServer(socket => {
    socket.on('data', () => {
      socket.destroy()
      // Whatever was to be done in that time is late, and what has arrived waits.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const sink = open({ port: (server.address() as AddressInfo).port }, false)
  try {
    const record = recordOf({ kind: 'heartbeat' })
    const batch = [{ record, body: sink.encode(record, { now: 0, backfill: false }) }]
    assert.deepEqual(await sink.send(batch, new AbortController().signal), {
      result: 'retry',
      detail: 'the receiver closed before it had everything',
    })
  } finally {
    await new Promise(resolve => server.close(resolve))
  }
})

test('a receiver that speaks no TLS waits for a person, and is told nothing', async () => {
  const receiver = await startReceiver(false)
  const sink = open(receiver, true)
  try {
    const record = recordOf({ kind: 'heartbeat' })
    const batch = [{ record, body: sink.encode(record, { now: 0, backfill: false }) }]
    receiver.answerInPlain()
    assert.deepEqual(await sink.send(batch, new AbortController().signal), {
      result: 'refused',
      detail: 'connection: ERR_SSL_WRONG_VERSION_NUMBER',
    })
    assert.deepEqual(receiver.messages, [])
  } finally {
    await receiver.close()
  }
})

test('a message as RFC 5424 says: octet count, priority, time with microseconds, escaped data, exact bytes', () => {
  const record = recordOf({
    kind: 'action.denied',
    operation: 'a"b]c\\d',
    subject: { id: 'ünï\n', kind: 'agent', issuer: 'i', method: 'oidc' },
  })
  const frame = syslogMessage(record, { ...header, hostname: 'gw 1' })
  const { whole, rest } = framesOf(frame)
  assert.equal(rest.length, 0)
  const text = whole[0]!.toString()
  assert.match(
    text,
    /^<108>1 2026-11-21T07:00:00\.123456Z gw_1 sallyport \d+ action\.denied \[sallyport@32473 id="/,
  )
  assert.ok(text.includes('operation="a\\"b\\]c\\\\d"]'), text)
  assert.ok(text.includes('subject="ünï "'), text)
  assert.ok(frame.subarray(-record.bytes.length).equals(record.bytes))
})
