import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { RpcMessage } from './rpc.ts'
import { type ProcessPlan, StdioProcess } from './stdio-process.ts'

/** A process that runs this program, what it said, and why it ended. */
function run(t: TestContext, program: string, more: Partial<ProcessPlan> = {}) {
  const messages: RpcMessage[] = []
  const lines: string[] = []
  const ended = Promise.withResolvers<string>()
  const process_ = new StdioProcess(
    {
      command: process.execPath,
      args: ['-e', program],
      env: {},
      cwd: undefined,
      memory: undefined,
      cpuSeconds: undefined,
      maxMessage: 64 * 1024,
      ...more,
    },
    {
      onMessage: message => void messages.push(message),
      onStderr: line => void lines.push(line),
      onEnd: ended.resolve,
    },
  )
  t.after(() => process_.close({ closedMs: 0, termMs: 0 }))
  return { messages, lines, ended: ended.promise }
}

test('messages are told apart however they are cut, and an empty line is none', async t => {
  const one = '{"jsonrpc":"2.0","method":"notifications/a"}'
  const program = `
    process.stdout.write(${JSON.stringify(one.slice(0, 9))})
    setTimeout(() => process.stdout.write(${JSON.stringify(`${one.slice(9)}\n\n${one}\n`)}), 20)`
  const { messages, ended } = run(t, program)
  await ended
  assert.deepEqual(
    messages.map(each => each.kind === 'notification' && each.method),
    ['notifications/a', 'notifications/a'],
  )
})

for (const limit of [1000, 64 * 1024]) {
  test(`a message over ${limit} bytes ends the process, whether or not it ends`, async t => {
    for (const end of ['', '\\n']) {
      const program = `process.stdout.write('x'.repeat(${limit + 1}) + '${end}'); setInterval(() => {}, 1000)`
      assert.match(await run(t, program, { maxMessage: limit }).ended, new RegExp(`over ${limit} bytes`))
    }
  })
}

test('P8: of a line of standard error that is too long no piece is told: a mask could not see a secret whole', async t => {
  const program = `
    process.stderr.write('first\\n' + 'x'.repeat(4090) + 'SEC')
    setTimeout(() => process.stderr.write('RET and more' + 'y'.repeat(5000)), 20)
    setTimeout(() => process.stderr.write(' tail\\nlast\\n'), 40)`
  const { lines, ended } = run(t, program)
  await ended
  assert.deepEqual(lines, ['first', 'last'])
})

test('a process that takes more memory than it may ends, and its owner hears of it', async t => {
  const program = `
    process.stderr.write('began\\n')
    const kept = []
    setInterval(() => kept.push(Buffer.alloc(64 * 1024 * 1024, 1)), 1)`
  const { lines, ended } = run(t, program, { memory: 1024 * 1024 * 1024 })
  assert.match(await ended, /ended (?:by|with status)/)
  assert.equal(lines[0], 'began')
})

test('a process that works longer than it may is ended', async t => {
  assert.match(await run(t, 'for (;;);', { cpuSeconds: 1 }).ended, /SIGXCPU|SIGKILL/)
})

test('a command that is not there says so', async t => {
  const { ended } = run(t, '', { command: '/nowhere/at/all' })
  assert.match(await ended, /status 127|could not be started/)
})
