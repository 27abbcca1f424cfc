/** Clients that find out by themselves whose tokens count, with the OAuth of the SDKs; and what those tokens are good for. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  Client,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { type PracticeMcp, startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { type McpStage, mcpStage, modernClient } from '../support/mcp-stage.ts'

const opened = new AsyncDisposableStack()
let stage: McpStage
let practice: PracticeMcp

before(async () => {
  practice = opened.use(await startPracticeMcp())
  const servers = [{ name: 'main', url: practice.url }]
  const rules = [
    { name: 'all-read', effect: 'allow' as const, operations: ['!tools/call:greet', '*'] },
    {
      name: 'greeting-takes-a-scope',
      effect: 'allow' as const,
      operations: ['tools/call:greet'],
      scopes: ['greet'],
    },
  ]
  stage = opened.use(await mcpStage({ servers }, { rules }))
})

after(() => opened.disposeAsync())

const callback = 'http://127.0.0.1:1/callback'
const hello = [{ type: 'text', text: 'Hello, Ana!' }]

/** Somebody with a browser: signs in as Ana wherever the client sends them. */
class SignsIn implements OAuthClientProvider {
  readonly redirectUrl = callback
  readonly clientMetadata = { redirect_uris: [callback], client_name: 'test' }
  readonly asked: URL[] = []
  code: string | undefined
  #tokens: ReturnType<OAuthClientProvider['tokens']>
  #verifier = ''
  #discovered: OAuthDiscoveryState | undefined

  clientInformation() {
    return { client_id: 'sallyport-cli', issuer: stage.world.identityProvider.issuer }
  }

  tokens() {
    return this.#tokens
  }

  /** SDK 1 would rather refresh than ask for more, and so never gets more. */
  saveTokens(tokens: Parameters<OAuthClientProvider['saveTokens']>[0]): void {
    const { refresh_token: _, ...kept } = tokens
    this.#tokens = kept
  }

  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovered = state
  }

  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovered
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier
  }

  codeVerifier(): string {
    return this.#verifier
  }

  async redirectToAuthorization(url: URL): Promise<void> {
    this.asked.push(url)
    const form = new URLSearchParams(url.searchParams)
    form.set('person', 'ana')
    const signedIn = await fetch(new URL('/authorize', url), {
      method: 'POST',
      body: form,
      redirect: 'manual',
    })
    this.callback = new URL(signedIn.headers.get('location')!).searchParams
    this.code = this.callback.get('code')!
  }

  callback = new URLSearchParams()
}

interface Connected extends AsyncDisposable {
  greet(): Promise<unknown>
  readonly tools: readonly string[]
}

/** What a host of MCP clients does: connect, sign in, connect again. */
async function connect(era: 'modern' | 'legacy', url: string, person: SignsIn): Promise<Connected> {
  const options = { authProvider: person as never }
  const make = () =>
    era === 'modern'
      ? {
          client: new Client(
            { name: 'test', version: '1' },
            { versionNegotiation: { mode: { pin: '2026-07-28' } } },
          ),
          transport: new StreamableHTTPClientTransport(new URL(url), options),
        }
      : {
          client: new LegacyClient({ name: 'test', version: '1' }),
          transport: new LegacyTransport(new URL(url), options),
        }
  const first = make()
  await assert.rejects(
    first.client.connect(first.transport as never),
    (error: Error) => error instanceof UnauthorizedError || error.constructor.name === 'UnauthorizedError',
  )
  await finish(first.transport, person)
  const { client, transport } = make()
  await client.connect(transport as never)
  const { tools } = await client.listTools()
  return {
    tools: tools.map(({ name }) => name),
    async greet() {
      const call = { name: 'greet', arguments: { name: 'Ana' } }
      const seen = person.asked.length
      const answer = await client.callTool(call).catch(async (error: unknown) => {
        if (person.asked.length === seen) throw error
        await finish(transport, person)
        return await client.callTool(call)
      })
      return answer.content
    },
    [Symbol.asyncDispose]: () => client.close(),
  }
}

/** The modern SDK wants the whole redirect, so as to check its `iss` (RFC 9207). */
async function finish(
  transport: StreamableHTTPClientTransport | LegacyTransport,
  person: SignsIn,
): Promise<void> {
  if (transport instanceof StreamableHTTPClientTransport) await transport.finishAuth(person.callback)
  else await transport.finishAuth(person.code!)
}

for (const era of ['modern', 'legacy'] as const) {
  test(`a ${era} client signs in where the gateway says, and asks for more scope where a rule wants it`, async () => {
    const person = new SignsIn()
    await using client = await connect(era, stage.url, person)
    assert.equal(person.asked.length, 1)
    assert.equal(person.asked[0]!.searchParams.get('resource'), stage.url, 'RFC 8707')
    assert.ok(client.tools.includes('greet'), 'what a better token may do is shown')
    assert.deepEqual(await client.greet(), hello)
    assert.equal(person.asked.length, 2)
    assert.ok(person.asked[1]!.searchParams.get('scope')!.split(' ').includes('greet'))
    const denied = (await stage.gateway.entries()).findLast(each => each.kind === 'action.denied')
    assert.equal(denied?.decision?.rule, 'greeting-takes-a-scope')
    assert.equal(denied?.decision?.reason, 'insufficient-scope')
  })
}

test('the gateway’s own MCP server is a resource of its own', async () => {
  const person = new SignsIn()
  await using client = await connect('modern', `${stage.gateway.url}/mcp`, person)
  assert.equal(person.asked[0]!.searchParams.get('resource'), `${stage.gateway.url}/mcp`)
  assert.ok(client.tools.includes('what_may_i_do'))
  const { access_token: token } = (await person.tokens())!
  const elsewhere = await fetch(stage.url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, accept: 'application/json, text/event-stream' },
    body: '{}',
  })
  assert.equal(elsewhere.status, 401)
  assert.match(elsewhere.headers.get('www-authenticate')!, /error="invalid_token".*resource_metadata=/)
})

test('a server that wants more scopes is refused to the client with what it wants, and with nothing else of it', async () => {
  const challenge =
    'Bearer error="insufficient_scope", scope="notes.write notes.admin", error_description="<b>"'
  await using picky = await startPracticeMcp({
    admit(request, response) {
      if (request.headers['mcp-method'] !== 'tools/call') return true
      response.writeHead(403, { 'www-authenticate': challenge }).end()
      return false
    },
  })
  await using own = await mcpStage({ servers: [{ name: 'main', url: picky.url }] })
  const client = await modernClient(own)
  await assert.rejects(client.callTool({ name: 'greet', arguments: {} }), (error: Error) => {
    assert.match(error.message, /lacks: notes\.write notes\.admin$/)
    return true
  })
  await client.close()
})

test('P4: no server ever sees a client’s token', async () => {
  const seen = JSON.stringify(practice.heads)
  assert.ok(practice.heads.length > 0)
  assert.doesNotMatch(seen, /bearer|authorization|eyJ/i)
})
