import assert from 'node:assert/strict'
import { test } from 'node:test'
import { upstreamBase } from './flavour.ts'
import { goodToken } from './fake-gateway.ts'
import { rewriteLocation } from './location.ts'
import { routeByAddress, routeToOne } from './router.ts'
import type { Routed } from './server.ts'
import { raw, stage } from './test-stage.ts'

test('a connection is reached by path prefix, by host name and by its own port', async t => {
  let route: (request: never) => Routed | undefined = () => undefined
  const { port, seen, open } = await stage(t, undefined, {
    server: { route: request => route(request as never) },
  })
  const find = (name: string) => (name === 'demo' ? open : undefined)
  route = routeByAddress({ find, domains: ['gw.example.com'] })
  const ask = async (target: string, host = 'x'): Promise<string> => {
    const head = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${goodToken}\r\nConnection: close\r\n\r\n`
    return (await raw(port, head)).slice(9, 12)
  }
  assert.equal(await ask('/c/demo/a/b?x=1'), '200')
  assert.equal(await ask('/c/demo'), '200')
  assert.equal(await ask('/c/demo?x=1'), '200')
  assert.equal(await ask('/a', 'DEMO.gw.Example.com.:80'), '200')
  assert.equal(await ask('/c/demo/a', 'demo.gw.example.com'), '200')
  for (const target of [
    '/c/other/a',
    '/c/demox',
    '/c/',
    '/',
    '/C/demo',
    '//c/demo',
    '/%63/demo',
    '/c/demo%2fa',
    '/c/demo;x/a',
  ]) {
    assert.equal(await ask(target), '404', target)
  }
  assert.equal(await ask('/a', 'other.gw.example.com'), '404')
  assert.equal(await ask('/c/demo/../other/a'), '400')
  route = routeToOne(() => open)
  assert.equal(await ask('/c/demo/own-port'), '200')
  assert.deepEqual(
    seen.map(each => each.url),
    ['/a/b?x=1', '/', '/?x=1', '/a', '/c/demo/a', '/c/demo/own-port'],
  )
})

test('a location that leads to the upstream is turned into the gateway’s', () => {
  const upstream = upstreamBase('https://api.example.com/up')
  const to = { upstream, upstreams: [upstream], origin: 'http://gw:80', base: '/c/demo' }
  for (const [given, expected] of [
    ['https://api.example.com/up/there?x=1#y', 'http://gw:80/c/demo/there?x=1#y'],
    ['http://api.example.com/up/there', 'http://gw:80/c/demo/there'],
    ['HTTPS://API.example.com/up', 'http://gw:80/c/demo/'],
    ['//api.example.com/up/there', 'http://gw:80/c/demo/there'],
    ['/up/there', '/c/demo/there'],
    ['/up?x', '/c/demo/?x'],
    ['/elsewhere', '/elsewhere'],
    ['/upper', '/upper'],
    ['there', 'there'],
    ['https://login.example.com/x', 'https://login.example.com/x'],
    ['http://[', 'http://['],
  ] as const) {
    assert.equal(rewriteLocation(given, to), expected, given)
  }
})

test('redirects are not followed, and Location and Link come back rewritten', async t => {
  const { port, seen } = await stage(
    t,
    (request, response) => {
      const own = `http://${request.headers.host}`
      response.writeHead(302, {
        Location: `${own}/there`,
        Link: `<${own}/p2>; rel="next", <https://a.example.com/>; rel="x"`,
      })
      response.end()
    },
    { base: '/c/demo' },
  )
  const head = `GET /c/demo/x HTTP/1.1\r\nHost: gw.example.com\r\nAuthorization: Bearer ${goodToken}\r\nConnection: close\r\n\r\n`
  const answer = await raw(port, head)
  assert.match(answer, /^HTTP\/1\.1 302 /)
  assert.match(answer, /Location: http:\/\/gw\.example\.com\/c\/demo\/there\r\n/)
  assert.match(
    answer,
    /Link: <http:\/\/gw\.example\.com\/c\/demo\/p2>; rel="next", <https:\/\/a\.example\.com\/>/,
  )
  assert.equal(seen.length, 1)
})
