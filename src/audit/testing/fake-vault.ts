import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeVault {
  readonly url: string
  readonly token: string
  /** Adds a version of the key, as `vault write -f transit/keys/<name>/rotate` does. */
  rotate(): void
  /** What it answers instead, while set. */
  broken: { readonly status: number; readonly body?: unknown } | undefined
  readonly asked: string[]
  close(): Promise<void>
}

/**
 * Vault's transit engine as far as signing with one Ed25519 key goes: the paths, headers, bodies and answers of its HTTP
 * API (`GET /v1/transit/keys/:name`, `POST /v1/transit/sign/:name`).
 */
export async function startFakeVault(name: string): Promise<FakeVault> {
  const versions: KeyObject[] = []
  const rotate = (): void => void versions.push(generateKeyPairSync('ed25519').privateKey)
  rotate()
  const token = 'hvs.practice'
  const asked: string[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      asked.push(`${request.method} ${request.url}`)
      const { status, body } =
        vault.broken ??
        (request.headers['x-vault-token'] === token
          ? answer(request.method!, request.url!, Buffer.concat(chunks).toString())
          : { status: 403, body: { errors: ['permission denied'] } })
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}))
    })
  })
  const answer = (method: string, url: string, text: string): { status: number; body: unknown } => {
    if (method === 'GET' && url === `/v1/transit/keys/${name}`) {
      const keys = Object.fromEntries(
        versions.map((key, i) => [
          String(i + 1),
          {
            creation_time: '2026-11-21T07:00:00.000000000Z',
            name: 'ed25519',
            public_key: Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url').toString('base64'),
          },
        ]),
      )
      const data = { name, type: 'ed25519', latest_version: versions.length, min_encryption_version: 0, keys }
      return { status: 200, body: { request_id: '1', data } }
    }
    if (method === 'POST' && url === `/v1/transit/sign/${name}`) {
      const { input, key_version: version = versions.length } = JSON.parse(text) as {
        input: string
        key_version?: number
      }
      const key = versions[version - 1]
      if (key === undefined) return { status: 400, body: { errors: ['invalid key version'] } }
      const signature = sign(null, Buffer.from(input, 'base64'), key).toString('base64')
      return {
        status: 200,
        body: { data: { signature: `vault:v${version}:${signature}`, key_version: version } },
      }
    }
    return { status: 404, body: { errors: [] } }
  }
  server.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const vault: FakeVault = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    rotate,
    broken: undefined,
    asked,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return vault
}
