import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { startGateway } from '../main.ts'
import { Failure } from './failure.ts'
import { startFailure } from './start-failure.ts'

const identity =
  "identity: { issuers: [{ name: c, issuer: 'https://idp.example.com', audience: sallyport }] }"

/** What `serve` says of this configuration, which must not start. */
async function said(directory: string, lines: readonly string[]): Promise<string> {
  const config = join(directory, 'sallyport.yaml')
  await writeFile(config, ['origin: gw.example.com/test', identity, ...lines].join('\n'))
  const error = await startGateway({ config, onFault: () => undefined }).then(
    async running => {
      await running.close(0)
      throw new TypeError('it has started')
    },
    (cause: unknown) => startFailure(cause),
  )
  assert.ok(error instanceof Failure, String(error))
  assert.doesNotMatch(error.message, /\n {4}at /)
  return error.message
}

test('why a gateway does not start is told with the place, and without a stack', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'start-failure-'))
  t.after(() => rm(directory, { recursive: true }))
  const data = `data: ${join(directory, 'data')}`
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const place = `127.0.0.1:${(taken.address() as AddressInfo).port}`
  assert.equal(
    await said(directory, [data, `listen: [{ address: '${place}' }]`]),
    `the gateway can't start: ${place}: another program listens there, or this gateway runs already`,
  )
  const tls = 'tls: { certificate: gw.pem, key: gw.key }'
  const secure = `listen: [{ address: '127.0.0.1:0', ${tls} }]`
  assert.match(await said(directory, [data, secure]), /gw\.pem: no such file or directory$/)
  for (const name of ['gw.pem', 'gw.key']) await writeFile(join(directory, name), 'junk')
  assert.match(await said(directory, [data, secure]), /gw\.pem and .*gw\.key are no certificate with its key/)
  const key = join(directory, 'data', 'keys', 'log.key')
  const good = await readFile(key)
  await writeFile(key, 'junk')
  const plain = "listen: [{ address: '127.0.0.1:0' }]"
  assert.match(await said(directory, [data, plain]), /log\.key holds no private key/)
  await chmod(key, 0o644)
  assert.match(await said(directory, [data, plain]), /open to every user: chmod 600 .*log\.key$/)
  await chmod(key, 0o600)
  await writeFile(key, good)
  const readers = join(directory, 'data', 'keys', 'recording.agekey')
  await writeFile(readers, 'junk')
  assert.match(await said(directory, [data, plain]), /recording\.agekey holds no age identity$/)
  await writeFile(join(directory, 'file'), '')
  assert.match(
    await said(directory, [`data: ${join(directory, 'file')}`, plain]),
    /file: a file is there where a directory should be$/,
  )
  const elsewhere = join(directory, 'file', 'data')
  assert.match(await said(directory, [`data: ${elsewhere}`, plain]), /a part of this path is a file/)
})

test('what is no fault of the surroundings keeps its stack', () => {
  const mistake = new TypeError('x is not a function')
  assert.equal(startFailure(mistake), mistake)
  const fault = startFailure(new GatewayError('internal', { internal: 'another process writes this log' }))
  assert.equal((fault as Failure).message, "the gateway can't start: another process writes this log")
})
