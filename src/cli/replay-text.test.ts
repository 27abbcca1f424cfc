import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Entry } from '../audit/events.ts'
import { curlCommand, replayText } from './replay-text.ts'

const entry = { connection: { name: 'datadog-prod' } } as unknown as Entry
const head = (headers: string[]): string =>
  JSON.stringify({ method: 'POST', target: '/api/v1/x?a=1', headers })

test('JSON is indented, and no number loses a digit', () => {
  const text = replayText({
    entry,
    frames: [
      { from: 'client', part: 'head', at: 0, text: head([]) },
      { from: 'upstream', part: 'body', at: 1500, text: '{"id":12345678901234567890,' },
      { from: 'upstream', part: 'body', at: 1600, text: '"share":1.10,"s":"x"}' },
    ],
  })
  assert.match(text, /"id": 12345678901234567890,/)
  assert.match(text, /"share": 1\.10/)
  assert.match(text, /\+1\.5 ms/)
})

test('a body that was compressed on the wire is shown unpacked, and a broken one as it came', () => {
  const packed = gzipSync('{"a":"readable"}')
  const body = (bytes: Buffer): string =>
    replayText({
      entry,
      frames: [
        { from: 'client', part: 'head', at: 0, text: head(['Content-Encoding', 'gzip']) },
        { from: 'client', part: 'body', at: 1, base64: bytes.toString('base64') },
      ],
    })
  assert.match(body(packed), /"a": "readable"/)
  assert.match(body(packed.subarray(0, 12)), /binary, base64/)
})

test('the curl command sends the same bytes, whatever is in them', () => {
  const command = curlCommand({
    entry,
    frames: [
      {
        from: 'client',
        part: 'head',
        at: 0,
        text: head(['Content-Type', 'application/json', 'X-Other', 'no']),
      },
      { from: 'client', part: 'body', at: 1, text: '{"it\'s": 1}' },
    ],
  })
  assert.match(command, /-X POST "\$SALLYPORT_URL\/c\/datadog-prod"'\/api\/v1\/x\?a=1'/)
  assert.match(command, /--data-raw '\{"it'\\''s": 1\}'/)
  assert.ok(!command.includes('X-Other'))
})

test('rows of a result are a table, NULL is told from text, and nothing in them acts on the terminal', () => {
  const text = replayText({
    entry,
    frames: [
      { from: 'client', part: 'head', at: 0, text: '{"method":"SELECT","target":"select 1","headers":[]}' },
      {
        from: 'upstream',
        part: 'head',
        at: 1000,
        text: '{"status":"columns","headers":["id","type 23","email","type 25"]}',
      },
      { from: 'upstream', part: 'body', at: 1100, text: '["1",null]\n["22","a\\u001b[2Jb"]\n' },
      { from: 'upstream', part: 'head', at: 1200, text: '{"status":"SELECT 2"}' },
    ],
  })
  assert.match(text, /< id \| email/)
  assert.match(text, /< 1 {2}\| NULL/)
  assert.match(text, /< 22 \| a\\u\{001b\}\[2Jb/)
  assert.match(text, /< SELECT 2/)
})
