import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { issuerConfig } from '../config/identity.ts'
import { createKeySource } from './key-source.ts'

type IssuerInput = Parameters<typeof issuerConfig>[0]

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function sourceFor(t: TestContext, config: Partial<IssuerInput> & { readonly issuer: string }) {
  const whole = issuerConfig({ name: 'a', audience: 'sallyport', ...config })
  const source = createKeySource(whole, { now: () => Date.now() })
  t.after(() => source.close())
  return source
}

/** Answers each path with what the site says: a document, a status, or a redirect. */
function site(answers: (base: string) => Record<string, unknown>, asked: string[] = []): RequestListener {
  return (request, response) => {
    asked.push(request.url!)
    const found = answers(`http://${request.headers.host}`)[request.url!]
    if (typeof found === 'string') return void response.writeHead(302, { location: found }).end()
    if (typeof found === 'number') return void response.writeHead(found).end()
    response.writeHead(found === undefined ? 404 : 200).end(JSON.stringify(found ?? {}))
  }
}

const openid = '/.well-known/openid-configuration'

test('discovery: the OpenID place, then the OAuth one, each as its standard says', async t => {
  const asked: string[] = []
  const listener = site(
    base => ({
      '/.well-known/oauth-authorization-server/tenant': {
        issuer: `${base}/tenant`,
        jwks_uri: `${base}/keys`,
      },
      '/keys': { keys: [] },
    }),
    asked,
  )
  const base = await serve(t, listener)
  const source = sourceFor(t, { issuer: `${base}/tenant` })
  assert.deepEqual(await source.load(), { keys: [] })
  assert.deepEqual(await source.load(), { keys: [] })
  const oauth = '/.well-known/oauth-authorization-server/tenant'
  assert.deepEqual(asked, [`/tenant${openid}`, oauth, '/keys', '/keys'])
})

test('P6: discovery must name exactly the issuer that is configured', async t => {
  for (const wrong of ['https://evil.example.net', 'BASE/', undefined, 7]) {
    const answers = (base: string) => ({
      [openid]: {
        issuer: typeof wrong === 'string' ? wrong.replace('BASE', base) : wrong,
        jwks_uri: `${base}/keys`,
      },
    })
    const issuer = await serve(t, site(answers))
    await assert.rejects(sourceFor(t, { issuer }).load(), /another issuer/)
  }
})

test('P6: discovery cannot send the gateway to a place without TLS, or to another kind of place', async t => {
  for (const place of [
    'http://keys.example.net/',
    'file:///etc/passwd',
    'data:application/json,{}',
    '/keys',
    null,
  ]) {
    const issuer = await serve(
      t,
      site(base => ({ [openid]: { issuer: base, jwks_uri: place } })),
    )
    await assert.rejects(sourceFor(t, { issuer }).load(), /jwks_uri/, String(place))
  }
})

test('keys that have moved are found again', async t => {
  let place = '/old'
  const asked: string[] = []
  const answers = (base: string) => ({
    [openid]: { issuer: base, jwks_uri: base + place },
    [place]: { keys: [place] },
  })
  const issuer = await serve(t, site(answers, asked))
  const source = sourceFor(t, { issuer })
  assert.deepEqual(await source.load(), { keys: ['/old'] })
  place = '/new'
  await assert.rejects(source.load(), /404/)
  assert.deepEqual(await source.load(), { keys: ['/new'] })
})

test('P6: a redirect stays within the origin, and does not go on for ever', async t => {
  const elsewhere: string[] = []
  const other = await serve(
    t,
    site(() => ({ '/keys': { keys: ['evil'] } }), elsewhere),
  )
  const answers = () => ({
    '/away': `${other}/keys`,
    '/near': '/keys',
    '/loop': '/loop',
    '/keys': { keys: ['own'] },
  })
  const base = await serve(t, site(answers))
  const load = (path: string) => sourceFor(t, { issuer: base, jwks_uri: base + path }).load()
  assert.deepEqual(await load('/near'), { keys: ['own'] })
  await assert.rejects(load('/away'), /redirected elsewhere/)
  await assert.rejects(load('/loop'), /redirected elsewhere/)
  assert.deepEqual(elsewhere, [])
})

test('P12: a document without end is cut off', async t => {
  const base = await serve(t, (_request, response) => {
    response.writeHead(200)
    const more = (): void => {
      while (!response.destroyed && response.write(' '.repeat(65_536)));
    }
    response.on('drain', more)
    more()
  })
  await assert.rejects(sourceFor(t, { issuer: base, jwks_uri: base }).load(), /larger than/)
})

test('P6: a server that never answers, or never ends, is given up', async t => {
  const silent = await serve(t, () => {})
  const slow = await serve(t, (_request, response) => void response.writeHead(200).write('{'))
  for (const base of [silent, slow]) {
    const source = sourceFor(t, { issuer: base, jwks_uri: base, keys: { timeout: '50ms' } })
    await assert.rejects(source.load(), { name: 'TimeoutError' })
  }
})

test('P6: what is not JSON, or not there, is a fault', async t => {
  const text = await serve(t, (_request, response) => void response.end('<html>'))
  await assert.rejects(sourceFor(t, { issuer: text, jwks_uri: text }).load(), SyntaxError)
  const failing = await serve(
    t,
    site(() => ({ '/': 500 })),
  )
  await assert.rejects(sourceFor(t, { issuer: failing, jwks_uri: `${failing}/` }).load(), /status 500/)
  const file = sourceFor(t, { issuer: 'spiffe://example.org', jwks_file: '/nonexistent/keys.json' })
  await assert.rejects(file.load(), { code: 'ENOENT' })
})

test('P6: TLS is verified, by the issuer’s own authorities where they are given', async t => {
  const testing = new URL('./testing/', import.meta.url)
  const [key, cert] = await Promise.all(
    ['loopback-key.pem', 'loopback-certificate.pem'].map(name => readFile(new URL(name, testing))),
  )
  const server = createTlsServer(
    { key: key!, cert: cert! },
    (_request, response) => void response.end('{"keys":[]}'),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const jwks_uri = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const config = { name: 'a', issuer: 'https://idp.example.com', audience: 'sallyport', jwks_uri }
  await assert.rejects(sourceFor(t, config).load(), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  const trusting = issuerConfig({ ...config, ca: 'loopback-certificate.pem' })
  const source = createKeySource(trusting, { base: fileURLToPath(testing), now: () => Date.now() })
  t.after(() => source.close())
  assert.deepEqual(await source.load(), { keys: [] })
})
