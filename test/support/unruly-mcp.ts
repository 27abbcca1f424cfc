/**
 * A server over standard input and output that misbehaves as its tools are called. It speaks the 2025 era by hand.
 *   unruly-mcp.ts [file]    where to write its process id, and what it was asked to end by
 */
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [, , diary] = process.argv
const note = (line: string): void => {
  if (diary !== undefined) appendFileSync(diary, `${line}\n`)
}
note(`pid ${process.pid}`)
const send = (message: object): void =>
  void process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
const text = (id: unknown, said: string): void =>
  send({ id, result: { content: [{ type: 'text', text: said }] } })

interface Params {
  readonly name?: string
  readonly protocolVersion?: string
  readonly arguments?: { readonly url?: string; readonly together?: number; readonly onward?: boolean }
  readonly _meta?: { readonly traceparent?: string }
}

/** Goes off when so many calls have come: then all of them run at once. */
const gathered: (() => void)[] = []

/** Asks the gateway with what it was given for it, and answers with the status. */
async function ask(id: unknown, { arguments: { url = '', together = 1, onward } = {}, _meta }: Params) {
  await new Promise<void>(go => {
    gathered.push(go)
    if (gathered.length >= together) for (const each of gathered.splice(0)) each()
  })
  const traceparent = onward === true ? _meta?.traceparent : undefined
  const headers = {
    authorization: `Bearer ${process.env['GATEWAY_TOKEN']}`,
    ...(traceparent === undefined ? {} : { traceparent }),
  }
  const answer = await fetch(url, { headers })
  await answer.arrayBuffer()
  // Nobody is answered before all have asked.
  await new Promise<void>(go => {
    gathered.push(go)
    if (gathered.length >= together) for (const each of gathered.splice(0)) each()
  })
  text(id, String(answer.status))
}

const tools: Record<string, (id: unknown, params: Params) => void> = {
  ask: (id, params) => void ask(id, params),
  read_environment: id => text(id, JSON.stringify(process.env)),
  read_pid: id => text(id, String(process.pid)),
  crash: () => process.exit(3),
  be_silent: () => undefined,
  flood: () => {
    const more = (): void => {
      while (process.stdout.write('x'.repeat(65_536)));
      process.stdout.once('drain', more)
    }
    more()
  },
  grow: () => {
    const kept: Buffer[] = []
    setInterval(() => kept.push(Buffer.alloc(64 * 1024 * 1024, 1)), 1)
  },
  babble: id => {
    process.stdout.write('Loading...\n{"half": \n\n[1,2]\n')
    process.stderr.write(`the key is ${process.env['UNRULY_KEY']}\n`)
    text(id, 'done')
  },
  talk_on: () => {
    for (let i = 0; i < 200; i++) process.stdout.write(`not a message ${i}\n`)
  },
  ignore_sigterm: id => {
    process.on('SIGTERM', () => note('SIGTERM'))
    setInterval(() => undefined, 1000)
    text(id, 'deaf')
  },
}

createInterface({ input: process.stdin }).on('line', line => {
  const { id, method, params } = JSON.parse(line) as {
    id?: unknown
    method: string
    params?: Params
  }
  if (method === 'initialize') {
    const { protocolVersion } = params!
    const serverInfo = { name: 'unruly', version: '1.0.0' }
    return send({ id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo } })
  }
  if (method === 'tools/list') {
    const listed = Object.keys(tools).map(name => ({ name, inputSchema: { type: 'object' } }))
    return send({ id, result: { tools: listed } })
  }
  if (method === 'tools/call') return tools[params!.name!]!(id, params!)
  if (id !== undefined) send({ id, error: { code: -32601, message: 'no such method' } })
})
