/** What an attacker with a token, or without one, tries at the whole gateway. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Entry } from '../../src/audit/events.ts'
import { type ChildGateway, spawnGateway } from '../support/child-gateway.ts'
import { rawGet, sendRaw, statusOf } from '../support/raw-http.ts'
import { readTree } from '../support/tree.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'
import { createWorld, type World } from '../support/world.ts'

/** Planted: must be seen by the upstream alone. */
const planted = 'planted-upstream-secret-7f3a9c1e55d2'
const tokens: string[] = []

let upstream: TestUpstream
let arrived: IncomingMessage[] = []
const opened = new AsyncDisposableStack()
let world: World
let gateway: ChildGateway
let token: string
/** Everything that any client was answered. */
const answers: string[] = []

before(async () => {
  upstream = opened.use(
    await startUpstream((request, response) => {
      arrived.push(request)
      request.resume()
      echo(request, response)
    }),
  )
  world = opened.use(await createWorld())
  const reference = await world.secret('upstream', planted)
  const [datadog] = world.config.connections!
  await world.configure({
    connections: [
      datadog!,
      {
        name: 'things',
        protocol: 'http',
        url: upstream.url,
        credential: { token: reference },
        inject: [
          { header: 'Authorization', value: 'Bearer ${token}' },
          { header: 'X-Api-Key', value: '${token}' },
        ],
      },
      { name: 'nowhere', protocol: 'http', url: 'http://127.0.0.1:1' },
      {
        name: 'no-secret',
        protocol: 'http',
        url: upstream.url,
        credential: { token: `file:${world.directory}/secrets/absent` },
        inject: [{ header: 'Authorization', value: 'Bearer ${token}' }],
      },
    ],
    policy: {
      rules: [
        { name: 'agents', effect: 'allow', subjects: { kinds: ['agent'] } },
        { name: 'no-admin', effect: 'deny', operations: ['* /admin', '* /admin/*'] },
        {
          name: 'nobody-is-made-admin',
          effect: 'deny',
          operations: ['POST /users'],
          when: 'has(request.body.admin)',
        },
      ],
    },
  })
  gateway = opened.use(await spawnGateway(world))
  token = await world.token('batch-agent')
  tokens.push(token)
})

after(() => opened.disposeAsync())

/** Gives back what it was sent, in the ways that upstreams do. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  const given = { authorization: request.headers.authorization, key: request.headers['x-api-key'] }
  switch (request.url!) {
    case '/echo/header':
      response.setHeader('x-you-sent', String(given.authorization))
      response.setHeader('set-cookie', `session=${given.key}`)
      return void response.end('ok')
    case '/echo/json':
      response.setHeader('content-type', 'application/json')
      return void response.end(JSON.stringify({ headers: given, list: [[given.key]] }))
    case '/echo/escaped': {
      response.setHeader('content-type', 'application/json')
      const escaped = String(given.key)
        .split('')
        .map(each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join('')
      return void response.end(`{"key":"${escaped}"}`)
    }
    case '/echo/gzip':
      response.setHeader('content-type', 'application/json')
      response.setHeader('content-encoding', 'gzip')
      return void response.end(gzipSync(JSON.stringify(given)))
    case '/echo/split': {
      response.setHeader('content-type', 'text/plain')
      response.write(`you sent ${planted.slice(0, 9)}`)
      setTimeout(() => response.end(`${planted.slice(9)} and that is all`), 30)
      return
    }
    case '/echo/error':
      response.writeHead(500, { 'content-type': 'text/html' })
      return void response.end(`<pre>Invalid key: ${given.authorization}</pre>`)
    case '/echo/reason':
      response.writeHead(403, `No ${given.key}`)
      return void response.end()
    default:
      return void response.end('ok')
  }
}

async function attack(bytes: string | Buffer): Promise<string> {
  const answer = await sendRaw(gateway.url, bytes)
  answers.push(answer)
  return answer
}

async function ask(
  path: string,
  bearer = token,
): Promise<{ status: number; text: string; headers: Headers }> {
  const answer = await fetch(gateway.url + path, { headers: { authorization: `Bearer ${bearer}` } })
  const text = await answer.text()
  answers.push(`${answer.statusText}\n${JSON.stringify([...answer.headers])}\n${text}`)
  return { status: answer.status, text, headers: answer.headers }
}

test('P6: no spelling of a path passes a rule that the plain one does not', async () => {
  arrived = []
  const spellings = [
    '/admin',
    '/admin/',
    '/admin/x',
    '//admin/x',
    '/./admin/x',
    '/x/../admin/x',
    '/x/%2e%2e/admin/x',
    '/x/.%2E/admin/x',
    '/%61dmin/x',
    '/%41DMIN/x',
    '/ADMIN/x',
    '/admin//x',
    '/admin/.',
    '/admin;v=1/x',
    '/x/..;/admin/x',
    '/%2e/admin/x',
    '/%2561dmin/../admin/x',
    '/x%2f..%2f..%2fadmin/x/%2e%2e/%2e%2e/admin',
    '\\admin\\x',
    '/x\\..\\admin',
    '/admin%00',
    '/admin%0a',
    '/admin\tx',
    '/admin?x=/../y',
    '/admin#x',
    '/%c0%ae%c0%ae/admin',
    '/../../../admin/x',
    '/%ef%bc%8e%ef%bc%8e/../admin',
  ]
  for (const spelling of spellings) {
    const answer = await attack(rawGet(`/c/things${spelling}`, [`Authorization: Bearer ${token}`]))
    assert.ok([400, 403, 404].includes(statusOf(answer)), `${spelling}: ${answer.slice(0, 80)}`)
  }
  for (const target of [
    `${gateway.url}/c/things/admin/x`,
    'http://elsewhere.example.com/c/things/admin/x',
    '/c/nothing/../things/admin/x',
    '/C/things/admin/x',
    '//c/things/admin/x',
    '*',
  ]) {
    const answer = await attack(rawGet(target, [`Authorization: Bearer ${token}`]))
    assert.ok([0, 400, 403, 404, 421].includes(statusOf(answer)), `${target}: ${answer.slice(0, 80)}`)
  }
  assert.deepEqual(
    arrived.map(each => each.url),
    [],
  )
})

test('P4: whatever credentials a client sends along end here', async () => {
  arrived = []
  const smuggled = 'smuggled-by-the-client-00112233'
  const answer = await attack(
    rawGet(`/c/things/plain?api_key=${token}&access_token=${smuggled}&keep=1`, [
      `Authorization: Bearer ${token}`,
      `DD-API-KEY: ${token}`,
      `X-Api-Key: ${smuggled}`,
      `Cookie: session=${smuggled}`,
      `Proxy-Authorization: Basic ${smuggled}`,
      `X-Note: my token is ${token}`,
      'Keep: yes',
    ]),
  )
  assert.equal(statusOf(answer), 200)
  const [request] = arrived
  assert.equal(request?.url, '/plain?keep=1')
  assert.equal(request?.headers.authorization, `Bearer ${planted}`)
  assert.equal(request?.headers['x-api-key'], planted)
  assert.equal(request?.headers['keep'], 'yes')
  const all = [request?.url, ...(request?.rawHeaders ?? [])].join('\n')
  assert.ok(!all.includes(smuggled) && !all.includes(token), all)
})

test('P4: a Connection header does not name our own credential away', async () => {
  arrived = []
  const answer = await attack(
    [
      'GET /c/things/plain HTTP/1.1',
      'Host: gateway.example.com',
      `Authorization: Bearer ${token}`,
      'X-Hop: 1',
      'Connection: close, authorization, x-api-key, x-hop',
      '',
      '',
    ].join('\r\n'),
  )
  assert.equal(statusOf(answer), 200)
  assert.equal(arrived[0]?.headers.authorization, `Bearer ${planted}`)
  assert.equal(arrived[0]?.headers['x-api-key'], planted)
  assert.equal(arrived[0]?.headers['x-hop'], undefined)
})

test('P6: what two servers could read in two ways is refused', async () => {
  arrived = []
  const bearer = `Authorization: Bearer ${token}`
  const post = (lines: readonly string[], body: string): string =>
    ['POST /c/things/plain HTTP/1.1', 'Host: gateway.example.com', bearer, ...lines, '', body].join('\r\n')
  const refused: readonly (readonly [name: string, bytes: string])[] = [
    ['a second Host', rawGet('/c/things/plain', [bearer, 'Host: other.example.com'])],
    ['no Host', `GET /c/things/plain HTTP/1.1\r\n${bearer}\r\n\r\n`],
    ['two lengths', post(['Content-Length: 2', 'Content-Length: 3'], 'abc')],
    ['length and chunks', post(['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n')],
    ['an unknown coding', post(['Transfer-Encoding: xchunked'], '0\r\n\r\n')],
    ['a hidden coding', post(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], '0\r\n\r\n')],
    ['a bad chunk size', post(['Transfer-Encoding: chunked'], '0x2\r\nab\r\n0\r\n\r\n')],
    ['a folded line', rawGet('/c/things/plain', [bearer, 'X-A: b\r\n c'])],
    ['a space before the colon', rawGet('/c/things/plain', [bearer, 'X-A : b'])],
    ['a bare CR', rawGet('/c/things/plain', [bearer, 'X-A: b\rX-B: c'])],
    ['a NUL', rawGet('/c/things/plain', [bearer, 'X-A: b\0c'])],
    ['two tokens', rawGet('/c/things/plain', [bearer, bearer])],
    ['TRACE', `TRACE /c/things/plain HTTP/1.1\r\nHost: a\r\n${bearer}\r\n\r\n`],
    ['CONNECT', `CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n${bearer}\r\n\r\n`],
    ['HTTP/2 by prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ]
  for (const [name, bytes] of refused) {
    const status = statusOf(await attack(bytes))
    assert.ok([0, 400, 404, 405, 421, 501, 505].includes(status), `${name}: ${status}`)
  }
  assert.deepEqual(
    arrived.map(each => each.url),
    [],
  )
})

test('P9: a token that is not good is refused in the same words, and the reason is in the log alone', async () => {
  const { identityProvider } = world
  const mint = identityProvider.mint
  const claims = { sub: 'batch-agent', groups: ['agents'] }
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const payload = part({
    ...claims,
    iss: identityProvider.issuer,
    aud: 'sallyport',
    exp: Math.floor(Date.now() / 1000) + 600,
  })
  const { kid } = identityProvider.keys.current
  const jwks = await (await fetch(`${identityProvider.issuer}/jwks`)).text()
  const hmac = `${part({ alg: 'HS256', kid })}.${payload}`
  const good = (await mint(claims)).split('.')
  const bad: readonly (readonly [name: string, token: string])[] = [
    ['none', `${part({ alg: 'none' })}.${payload}.`],
    ['HS256 with the public key', `${hmac}.${createHmac('sha256', jwks).update(hmac).digest('base64url')}`],
    ['expired', await mint({ ...claims, exp: Math.floor(Date.now() / 1000) - 3600 })],
    ['another audience', await mint({ ...claims, aud: 'something-else' })],
    ['another issuer', await mint({ ...claims, iss: 'https://issuer.example.com' })],
    ['another payload', `${good[0]}.${payload}.${good[2]}`],
    ['not yet', await mint({ ...claims, nbf: Math.floor(Date.now() / 1000) + 3600 })],
    ['nonsense', 'nonsense-that-is-no-token'],
    ['an unknown gateway token', `spt_${'a'.repeat(43)}`],
  ]
  arrived = []
  const before = (await gateway.entries()).length
  const bodies = new Set<string>()
  for (const [name, each] of bad) {
    tokens.push(each)
    const { status, text, headers } = await ask('/c/things/plain', each)
    assert.equal(status, 401, name)
    assert.match(headers.get('www-authenticate') ?? '', /^Bearer realm="sallyport"/, name)
    bodies.add(text)
    assert.equal((await ask('/api/v1/me', each)).status, 401, `${name}, at the API`)
  }
  assert.equal(bodies.size, 1, 'every refusal reads the same')
  assert.deepEqual(arrived, [])
  const refused = (await gateway.entries()).slice(before).filter(each => each.kind === 'identity.refused')
  assert.equal(refused.length, bad.length * 2)
  assert.ok(refused.every(each => each.subject === undefined && typeof each['reason'] === 'string'))
  assert.ok(
    new Set(refused.map(each => each['reason'])).size >= 6,
    JSON.stringify(refused.map(e => e['reason'])),
  )
})

test('P4: an upstream that gives our credential back gives it to nobody', async () => {
  for (const way of ['header', 'json', 'escaped', 'gzip', 'split', 'error', 'reason']) {
    const { status, text, headers } = await ask(`/c/things/echo/${way}`)
    assert.ok(status >= 200, way)
    const all = `${text}\n${JSON.stringify([...headers])}`
    assert.ok(!all.includes(planted) && !unescaped(all).includes(planted), `${way}: ${all}`)
  }
})

test('P6: what goes wrong here is told without secrets, paths or addresses', async () => {
  for (const [path, status, code] of [
    ['/c/nowhere/x', 502, 'upstream-unreachable'],
    ['/c/no-secret/x', 503, 'credential-unavailable'],
    ['/c/absent/x', 404, undefined],
    ['/api/v1/absent', 404, 'not-found'],
  ] as const) {
    const answer = await ask(path)
    assert.equal(answer.status, status, path)
    if (code !== undefined) assert.equal((JSON.parse(answer.text) as { code: string }).code, code)
    assert.doesNotMatch(
      answer.text,
      /\/tmp|\/work|node_modules|secrets|127\.0\.0\.1|\.ts\b|ECONN|ENOENT/,
      path,
    )
  }
  const log = JSON.stringify(await gateway.entries())
  assert.ok(!log.includes(world.directory), 'no path of this machine is in the log')
})

test('P4: after all of that no credential is anywhere: disk, output, API, recordings, sink', async () => {
  const entries = await gateway.entries()
  const sessions = new Set(entries.flatMap(each => each.session ?? []))
  for (const session of sessions) {
    const replay = await gateway.api.ask(`/sessions/${session}/replay?limit=100`)
    assert.equal(replay.status, 200)
    assert.match(replay.text, /"frames":\[\{/)
    answers.push(replay.text, unescaped(replay.text))
  }
  for (const path of ['/connections', '/tokens', '/sessions', '/status', '/export', '/approvals']) {
    answers.push((await gateway.api.ask(path)).text)
  }
  await world.intake.waitFor(entries.length)
  const places: (readonly [name: string, text: string])[] = [
    ['the log', JSON.stringify(entries satisfies Entry[])],
    ['the output', gateway.output()],
    ['the sink', JSON.stringify(world.intake.logs)],
    ...answers.map((text, i) => [`answer ${i}`, text] as const),
    ...(await readTree(world.data)).map(({ path, bytes }) => [path, bytes.toString('latin1')] as const),
  ]
  assert.ok(places.length > 60)
  const { apiKey, appKey } = world.datadog.keys
  const secrets = [planted, apiKey, appKey, ...tokens].filter(each => !each.startsWith('nonsense'))
  // A part of a token is as good a find as all of it, and is not cut by a line's end.
  const needles = secrets.flatMap(each => [each, each.slice(-40), Buffer.from(each).toString('base64')])
  for (const [name, text] of places) {
    for (const needle of needles) {
      assert.ok(needle.length < 16 || !text.includes(needle), `${name} holds ${needle.slice(0, 12)}...`)
    }
  }
})

/** With `\u` escapes resolved, however deep. */
function unescaped(text: string): string {
  return text.replaceAll(/\\+u([0-9a-fA-F]{4})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

test('P6: a document sent before does not make policy read another key than the upstream does', async () => {
  const post = async (body: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const answer = await fetch(`${gateway.url}/c/things/users`, { method: 'POST', headers, body })
    answers.push(await answer.text())
    return answer.status
  }
  arrived = []
  // Teaches V8 the key `\\u006`, for which it then takes the first five characters of `\\u0061dmin` (nodejs/node#63785).
  assert.equal(await post('{"who":"ana","\\\\u006":true}'), 200)
  assert.equal(await post('{"who":"ana","\\u0061dmin":true}'), 403)
  assert.equal(await post('{"who":"ana","admin":true}'), 403)
  assert.equal(arrived.length, 1)
})
