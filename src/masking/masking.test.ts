import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { maskingSection } from '../config/masking.ts'
import { createMasking } from './masking.ts'

const config = maskingSection.parse({
  hash_key: '${env:MASK_KEY}',
  profiles: {
    own: {
      detectors: ['email', 'payment-card'],
      keys: ['*_pin', 'größe'],
      paths: ['$.data[*].attributes.name', '$.**.deep', "$['a.b'][1]"],
      headers: ['x-internal-*'],
      parameters: ['sid'],
      patterns: [{ name: 'ticket', regex: 'TCK-[0-9]+é?' }],
      overrides: { email: 'hash', 'payment-card': 'partial' },
    },
    mild: { detectors: ['email'], way: 'partial' },
    'no-addresses': { detectors: ['personal'], overrides: { 'ip-address': 'off' } },
  },
})
const masking = createMasking(config, { hashKey: 'key-one' })

async function body(text: string, profiles: readonly string[]): Promise<string> {
  const source = (async function* () {
    yield Buffer.from(text)
  })()
  const masked = masking.masker(profiles).body(source, { type: 'application/json', encodings: [] })
  let out = ''
  for await (const chunk of masked.body) out += chunk.toString()
  return out
}

describe('P8: ways', () => {
  test('P8: a hash is equal for equal values, and of the key', () => {
    const masker = masking.masker(['own'])
    const first = masker.text('ana@example.com')
    assert.match(first, /^\[hash:email:[0-9a-f]{16}\]$/)
    assert.equal(masker.text('ana@example.com'), first)
    assert.notEqual(masker.text('ben@example.com'), first)
    assert.notEqual(
      createMasking(config, { hashKey: 'key-two' }).masker(['own']).text('ana@example.com'),
      first,
    )
  })

  test('P8: the hash is that of the value, however it is written', async () => {
    const plain = await body('["ana@example.com"]', ['own'])
    assert.equal(await body('["\\u0061na@example.com"]', ['own']), plain)
  })

  test('P8: partial keeps four characters of a long value, and none of a short one', () => {
    assert.equal(masking.masker(['own']).text('4111 1111 1111 1111'), '[masked:payment-card:1111]')
    assert.equal(masking.masker(['mild']).text('a@example.io'), '[masked:email]')
    assert.equal(masking.masker(['mild']).text('ana.b@example.com'), '[masked:email]')
  })

  test('P8: the strictest of several profiles wins', () => {
    assert.match(masking.masker(['mild', 'own']).text('ana@example.com'), /^\[hash:/)
    assert.equal(masking.masker(['mild', 'own', 'personal']).text('ana@example.com'), '[masked:email]')
  })

  test('P8: a detector that is off leaves its values', () => {
    const text = masking.masker(['no-addresses']).text('ana@example.com from 203.0.113.7')
    assert.equal(text, '[masked:email] from 203.0.113.7')
  })
})

describe('P8: rules', () => {
  test('P8: paths, keys and patterns in JSON; containers keep their shape', async () => {
    const text =
      '{"data": [{"attributes": {"name": {"first": "A", "n": [1, true, null]}, "other": "x"}}], ' +
      '"card_PIN": 1234, "gr\\u00f6\\u00dfe": "l", "a.b": ["u", "v"], "x": {"y": {"deep": "z"}}, "t": "see TCK-12é."}'
    assert.equal(
      await body(text, ['own']),
      '{"data": [{"attributes": {"name": {"first": "[masked:field]", "n": ["[masked:field]", true, null]}, "other": "x"}}], ' +
        '"card_PIN": "[masked:field]", "gr\\u00f6\\u00dfe": "[masked:field]", "a.b": ["u", "[masked:field]"], ' +
        '"x": {"y": {"deep": "[masked:field]"}}, "t": "see [masked:ticket]."}',
    )
    assert.deepEqual(masking.masker(['own']).json(JSON.parse(text)), JSON.parse(await body(text, ['own'])))
  })

  test('P8: patterns count bytes beyond ASCII right', () => {
    assert.equal(
      masking.masker(['own']).text('größe 日本 TCK-1é 🙂 TCK-2'),
      'größe 日本 [masked:ticket] 🙂 [masked:ticket]',
    )
  })

  test('P8: headers and parameters by name, by meaning and by content', () => {
    const masker = masking.masker(['own', 'secrets'])
    assert.equal(masker.header('X-Internal-Id', 'abc'), '[masked:field]')
    assert.equal(masker.header('DD-API-KEY', '0123456789abcdef0123456789abcdef'), '[masked:datadog-api-key]')
    assert.equal(masker.header('authorization', 'Bearer x'), '[masked:authorization]')
    assert.equal(
      masker.header('location', 'https://x.example.com/?token=abc&p=1'),
      'https://x.example.com/?token=[masked:secret]&p=1',
    )
    assert.equal(masker.parameter('sid', '42'), '[masked:field]')
    assert.equal(masker.parameter('page', '42'), '42')
    assert.match(masker.parameter('q', 'to ana@example.com'), /^to \[hash:email:/)
    assert.equal(masker.takeReport().count, 6)
    assert.deepEqual(masker.takeReport(), { count: 0, kinds: [] })
  })

  test('P8: secret fields of Datadog answers', async () => {
    const hex = '0123456789abcdef0123456789abcdef'
    const text = JSON.stringify({
      data: {
        type: 'api_keys',
        id: '550e8400-e29b-41d4-a716-446655440000',
        attributes: { key: hex, last4: 'cdef' },
      },
      credentials: { type: 'AWS', secrets: ['x'] },
      custom_headers: '{"a":"b"}',
      tags: [{ key: 'team', value: 'sre' }],
      hash: `${hex}01234567`,
      next_token: 'abc',
    })
    assert.deepEqual(JSON.parse(await body(text, ['datadog-secrets'])), {
      data: {
        type: 'api_keys',
        id: '550e8400-e29b-41d4-a716-446655440000',
        attributes: { key: '[masked:datadog-api-key]', last4: 'cdef' },
      },
      credentials: { type: '[masked:field]', secrets: ['[masked:field]'] },
      custom_headers: '[masked:field]',
      tags: [{ key: 'team', value: 'sre' }],
      hash: '[masked:datadog-app-key]',
      next_token: 'abc',
    })
  })

  test('P4: lent values are masked beside profile rules, in every method', async () => {
    const masker = masking.masker(['personal'], { secrets: ['sekret-é-value'] })
    assert.equal(masker.text('x sekret-é-value y'), 'x [masked:credential] y')
    assert.equal(masker.header('x', 'sekret-é-value'), '[masked:credential]')
    assert.deepEqual(masker.json({ 'sekret-é-value': ['sekret-é-value'] }), {
      '[masked:credential]': ['[masked:credential]'],
    })
    const other = masking.masker(['personal'], { secrets: ['another-value'] })
    assert.equal(other.text('x sekret-é-value y'), 'x sekret-é-value y')
  })
})

describe('what needs no mask', () => {
  test('P11: an idle masker gives the body itself', () => {
    const masker = masking.masker([])
    const source = (async function* (): AsyncGenerator<Buffer> {})()
    assert.equal(masker.idle, true)
    const masked = masker.body(source, { type: 'x/y', encodings: ['odd'] })
    assert.equal(masked.body, source)
    assert.deepEqual(
      [masked.encodings, masked.altered, masked.report()],
      [['odd'], false, { count: 0, kinds: [] }],
    )
    const value = { a: [1] }
    assert.equal(masker.json(value), value)
  })

  test('values without a find are the same values', () => {
    const value = { a: [1, { b: 'c' }], d: null }
    assert.equal(masking.masker(['personal', 'secrets']).json(value), value)
  })

  test('each masker counts for itself', () => {
    const [one, two] = [masking.masker(['personal']), masking.masker(['personal'])]
    one.text('ana@example.com')
    assert.deepEqual(two.takeReport(), { count: 0, kinds: [] })
    assert.deepEqual(one.takeReport(), { count: 1, kinds: ['email'] })
  })
})

describe('configuration', () => {
  test('profiles by name, built in or configured', () => {
    assert.deepEqual(['secrets', 'personal', 'datadog-secrets', 'own', 'constructor', 'x'].map(masking.has), [
      true,
      true,
      true,
      true,
      false,
      false,
    ])
    assert.throws(() => masking.masker(['x']), TypeError)
  })

  test('the way hash without a key is refused', () => {
    assert.equal(
      maskingSection.safeParse({ profiles: { a: { detectors: ['email'], way: 'hash' } } }).success,
      false,
    )
    assert.throws(() => createMasking(config), TypeError)
  })

  for (const [name, profile] of Object.entries({
    'a pattern that is not RE2': { patterns: [{ name: 'x', regex: '(?=a)' }] },
    'an unknown detector': { detectors: ['emails'] },
    'an unknown override': { overrides: { emails: 'off' } },
    'a path that is none': { paths: ['data.key'] },
    'a path that ends in any depth': { paths: ['$.a.**'] },
    'an unknown option': { colour: 'red' },
  }))
    test(`${name} is refused`, () => {
      assert.equal(maskingSection.safeParse({ profiles: { a: profile } }).success, false)
    })

  test('a built-in name is taken', () => {
    assert.equal(maskingSection.safeParse({ profiles: { secrets: {} } }).success, false)
  })

  test('a plain hash key is refused', () => {
    assert.equal(maskingSection.safeParse({ hash_key: 'plain' }).success, false)
  })
})
