/** A recorded request as a command for a shell, as the terminal and the console give it: run, it sends the same. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { curlOf } from '../../console/src/pages/session/frames.ts'
import { curlCommand, type ReplayedAction } from '../../src/cli/replay-text.ts'

const makers = {
  terminal: curlCommand,
  console: (action: ReplayedAction) => curlOf(action as unknown as Parameters<typeof curlOf>[0]),
}

/** Runs the command with a `curl` that says what it was given. */
async function run(command: string): Promise<{ readonly given: readonly string[]; readonly body: Buffer }> {
  const script = `curl() { for each; do printf '%s\\0' "$each"; done; printf '\\0'; case "$*" in *@-) cat;; esac; }\n${command}`
  const env = { PATH: process.env['PATH'], SALLYPORT_URL: 'https://gw.example.com', SALLYPORT_TOKEN: 'token' }
  const { stdout } = await promisify(execFile)('sh', ['-c', script], { env, encoding: 'buffer' })
  const end = stdout.indexOf('\0\0')
  const given = stdout.subarray(0, end).toString().split('\0')
  const raw = given.indexOf('--data-raw')
  return { given, body: raw < 0 ? stdout.subarray(end + 2) : Buffer.from(given[raw + 1]!) }
}

function recorded(request: {
  readonly method?: string
  readonly target?: string
  readonly headers?: readonly string[]
  readonly body?: { readonly text: string } | { readonly base64: string }
}): ReplayedAction {
  const { method = 'POST', target = '/api/v1/x', headers = [], body } = request
  const head = JSON.stringify({ method, target, headers })
  return {
    entry: { connection: { name: 'datadog-prod' } } as unknown as ReplayedAction['entry'],
    frames: [
      { from: 'client', part: 'head', at: 0, text: head },
      ...(body === undefined ? [] : [{ from: 'client', part: 'body', at: 1, ...body } as const]),
    ],
  }
}

for (const [name, make] of Object.entries(makers)) {
  test(`${name}: method, address, headers and body arrive`, async () => {
    const text = `{"it's": "$HOME \`id\`",\n "a": "\\\\ \\""}`
    const headers = ['Content-Type', 'application/json', 'X-Other', 'no']
    const { given, body } = await run(make(recorded({ target: "/a?b='$(id)'", headers, body: { text } }))!)
    assert.deepEqual(given.slice(0, 4), [
      '-sS',
      '-X',
      'POST',
      "https://gw.example.com/c/datadog-prod/a?b='$(id)'",
    ])
    assert.ok(given.includes('Authorization: Bearer token'))
    assert.ok(given.includes('Content-Type: application/json'))
    assert.ok(!given.join().includes('X-Other'))
    assert.equal(body.toString(), text)
  })

  test(`${name}: a body that is no text arrives byte for byte, and under its encoding`, async () => {
    const packed = gzipSync('{"a":1}')
    const headers = ['Content-Encoding', 'gzip']
    const command = make(recorded({ headers, body: { base64: packed.toString('base64') } }))!
    const { given, body } = await run(command)
    assert.deepEqual(body, packed)
    assert.ok(given.includes('Content-Encoding: gzip'))
  })

  test(`${name}: no method that an agent makes up acts on the shell`, async () => {
    // HTTP/2 carries any token as a method, and these are tokens (RFC 9110 section 5.6.2).
    for (const method of ['`echo`', '$HOME', "a'|id", 'x&id', '!!', '*']) {
      const { given } = await run(make(recorded({ method }))!)
      assert.equal(given[2], method)
    }
  })
}
