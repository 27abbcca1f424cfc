import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { binaryText } from './binary-text.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

test('binary values read as the server writes them', () => {
  const cases: [number, string, string | undefined][] = [
    [16, '01', 't'],
    [17, '00ff', '\\x00ff'],
    [20, 'ffffffffffffffff', '-1'],
    [21, '0100', '256'],
    [23, '7fffffff', '2147483647'],
    [26, 'ffffffff', '4294967295'],
    [700, '3dcccccd', '0.1'],
    [701, '3fb999999999999a', '0.1'],
    [1082, '00000001', '2000-01-02'],
    [1082, '7fffffff', 'infinity'],
    [1083, '0000000000000001', '00:00:00.000001'],
    [1114, 'ffffffffffffffff', '1999-12-31 23:59:59.999999'],
    [1184, '0000000000000000', '2000-01-01 00:00:00+00'],
    [1700, '0002 0000 0000 0002 0001 09c4', '1.25'],
    [1700, '0001 0001 4000 0000 0001', '-10000'],
    [1700, '0001 ffff 0000 0003 0032', '0.005'],
    [1700, '0000 0000 c000 0000', 'NaN'],
    [1700, '0000 0000 0000 0002', '0.00'],
    [2950, '00112233445566778899aabbccddeeff', '00112233-4455-6677-8899-aabbccddeeff'],
    [3802, '017b7d', '{}'],
    [23, '00', undefined],
    [600, '00', undefined],
  ]
  for (const [type, value, text] of cases)
    assert.equal(binaryText(type, hex(value)), text, `${type} ${value}`)
})

test('P12: no value of a known type makes it throw, or write more than its scale', () => {
  const types = [16, 17, 18, 20, 21, 23, 25, 26, 700, 701, 1082, 1083, 1114, 1184, 1700, 2950, 3802]
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 40 }), (type, bytes) => {
      const text = binaryText(type, Buffer.from(bytes))
      assert.ok(text === undefined || text.length < 200_000)
    }),
  )
})
