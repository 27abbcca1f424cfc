import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../../errors.ts'
import {
  canonicalHost,
  canonicalPath,
  judgedPath,
  parseQuery,
  queryValues,
  sentPath,
  splitTarget,
} from './codec.ts'

const refused = (detail?: RegExp) => (error: unknown) =>
  error instanceof GatewayError &&
  error.code === 'invalid-request' &&
  (detail?.test(error.detail ?? '') ?? true)

test('each path has one spelling', () => {
  for (const [given, canonical] of [
    ['/', '/'],
    ['/admin/x', '/admin/x'],
    ['//admin/x', '/admin/x'],
    ['/admin//x///', '/admin/x/'],
    ['/x/../admin/x', '/admin/x'],
    ['/x/./admin/.', '/x/admin/'],
    ['/x/%2e%2E/admin', '/admin'],
    ['/%61dmin', '/admin'],
    ['/a%7eb', '/a~b'],
    ['/a%2fb', '/a%2Fb'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/a%3Ab%40c%2C', '/a:b@c,'],
    ['/a b|"<>'.replace(' ', '%20'), '/a%20b%7C%22%3C%3E'],
    ['/a%3bb', '/a%3Bb'],
    ['/..a/...', '/..a/...'],
    ['/x/..', '/'],
    ['/100%25', '/100%25'],
  ] as const) {
    assert.equal(canonicalPath(given), canonical, given)
  }
})

test('what servers read in different ways is refused', () => {
  for (const path of [
    '/..',
    '/../x',
    '/a/../../x',
    '/%2e%2e/x',
    '/a\\b',
    '/a%5cb',
    '/a;v=1/b',
    '/a%00',
    '/a%0d%0ab',
    '/a%7f',
    '/a%',
    '/a%4',
    '/a%zz',
    '/a%u0041',
    '/a%c0%ae',
    '/a%c0%af',
    '/a%ed%a0%80',
    '/a%ff',
    '/a%252e',
    '/a%252Fb',
    '/a%255c',
    '/a%2500',
    '/a%25252e',
    '/a\u00e9',
    '/a\tb',
  ]) {
    assert.throws(() => canonicalPath(path), refused(), path)
  }
})

/** Other spellings of a path that servers take for the same. */
function respelled(path: string): fc.Arbitrary<string> {
  const segments = path.slice(1).split('/')
  const spell = (character: string): fc.Arbitrary<string> => {
    const hex = character.charCodeAt(0).toString(16).padStart(2, '0')
    return fc.constantFrom(character, `%${hex}`, `%${hex.toUpperCase()}`)
  }
  const noise = fc.constantFrom('', '/.', '/', '/x/..', '/%2e', '/x/%2E%2e', '/./.')
  return fc
    .tuple(...segments.map(each => fc.tuple(noise, fc.tuple(...Array.from(each, spell)))), noise)
    .map(parts => {
      const last = parts.at(-1) as string
      const all = parts.slice(0, -1) as [string, string[]][]
      return all.map(([before, letters]) => `${before}/${letters.join('')}`).join('') + last
    })
}

test('no two spellings of a protected path escape a rule', () => {
  for (const path of ['/admin/users', '/api/v1/user/ana@example.com', '/a~b/c-d.e_f']) {
    fc.assert(
      fc.property(respelled(path), spelling => {
        assert.equal(judgedPath(canonicalPath(spelling)), path)
      }),
      { numRuns: 500 },
    )
  }
})

test('canonical paths stay as they are, and hold nothing that could be read in two ways', () => {
  const hostile = fc.string({
    unit: fc.constantFrom('/', '.', '%', '2', 'e', 'E', 'f', '5', 'c', 'a', ';', '\\', ' ', ':'),
  })
  fc.assert(
    fc.property(hostile, text => {
      let canonical: string
      try {
        canonical = canonicalPath(`/${text}`)
      } catch (error) {
        assert.ok(error instanceof GatewayError)
        return
      }
      assert.equal(canonicalPath(canonical), canonical)
      assert.match(canonical, /^\/[\x21-\x7e]*$/)
      assert.doesNotMatch(canonical, /\/\/|\/\.{1,2}(\/|$)|[\\;"<>|]|%(2e|5c|[01]|7f)/i)
    }),
    { numRuns: 2000 },
  )
})

test('what is sent is a spelling of what is judged', () => {
  assert.equal(sentPath('/%61/b%3ac%40d/./%2f'), '/a/b%3Ac%40d/%2F')
  assert.equal(sentPath('/a:b@c'), '/a:b@c')
  const units = ['/', '.', '%', '2', '3', 'f', 'e', 'a', '4', '0', ':', ';', ' ', '%3a', '%40', '%2F', '%2e']
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...units) }), text => {
      let canonical: string
      try {
        canonical = canonicalPath(`/${text}`)
      } catch (error) {
        assert.throws(() => sentPath(`/${text}`), refused())
        assert.ok(error instanceof GatewayError)
        return
      }
      const sent = sentPath(`/${text}`)
      assert.equal(canonicalPath(sent), canonical)
      assert.equal(sentPath(sent), sent)
    }),
    { numRuns: 2000 },
  )
})

test('hostile paths cost no more than their length', () => {
  for (const text of [
    '/'.repeat(16_000),
    '/a'.repeat(8000),
    '/%61'.repeat(4000),
    `/${'a'.repeat(16_000)};`,
    '/..'.repeat(5000),
  ]) {
    try {
      canonicalPath(text)
    } catch (error) {
      assert.ok(error instanceof GatewayError)
    }
  }
})

test('targets: origin form only', () => {
  assert.deepEqual(splitTarget('/a?b?c'), { path: '/a', query: 'b?c' })
  assert.deepEqual(splitTarget('/a'), { path: '/a', query: undefined })
  for (const target of ['*', 'a', '', 'http://h/', '/a#b'])
    assert.throws(() => splitTarget(target), refused(), target)
})

test('queries keep their bytes and order, and show their values', () => {
  const parts = parseQuery('b=2&a=1+2&&c&a=%c3%a9&d=%zz&%61pi_key=x')
  assert.equal(parts.map(part => part.raw).join('&'), 'b=2&a=1+2&c&a=%c3%a9&d=%zz&%61pi_key=x')
  assert.deepEqual({ ...queryValues(parts) }, { b: '2', a: ['1 2', 'é'], c: '', d: '%zz', api_key: 'x' })
  assert.equal(queryValues(parseQuery('__proto__=1'))['__proto__'], '1')
  assert.throws(() => parseQuery('a=\u00e9'), refused())
})

test('hosts: case, trailing dot and default port are no difference', () => {
  assert.deepEqual(canonicalHost('GW.Example.COM.:80', false), {
    name: 'gw.example.com',
    authority: 'gw.example.com',
  })
  assert.deepEqual(canonicalHost('gw:443', true), { name: 'gw', authority: 'gw' })
  assert.deepEqual(canonicalHost('gw:8443', true), { name: 'gw', authority: 'gw:8443' })
  assert.deepEqual(canonicalHost('[::1]:9', false), { name: '[::1]', authority: '[::1]:9' })
  for (const host of [
    '',
    'a/b',
    'u@a',
    'a b',
    'a:0',
    'a:99999',
    'a:',
    '.',
    'a,b',
    'a\t',
    `${'a'.repeat(300)}`,
  ]) {
    assert.equal(canonicalHost(host, false), undefined, host)
  }
})
