import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { createConsoleFiles } from './console-files.ts'

const script = `export const words = ${JSON.stringify(Array.from({ length: 200 }, (_, i) => `word ${i}`))}`
const page = '<!doctype html><title>Sallyport</title>'
let directory: string
let server: Server

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'console-files-'))
  await mkdir(join(directory, 'assets'))
  await writeFile(join(directory, 'index.html'), page)
  await writeFile(join(directory, 'assets', 'main-1a2b.js'), script)
  await writeFile(join(directory, 'assets', 'logo.png'), Buffer.alloc(2048))
  server = createServer(createConsoleFiles(directory))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
})

after(async () => {
  server.close()
  await rm(directory, { recursive: true })
})

async function get(
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ status: number; headers: IncomingMessage['headers']; bytes: Buffer }> {
  const { port } = server.address() as AddressInfo
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ port, path, headers, method }, resolve).on('error', reject).end()
  })
  const bytes = Buffer.concat(await answer.toArray())
  return { status: answer.statusCode!, headers: answer.headers, bytes }
}

test('a script goes out in the best encoding that the browser takes, and as itself to who takes none', async () => {
  for (const [accept, encoding] of [
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip', 'gzip'],
    ['br;q=0, gzip;q=0.5', 'gzip'],
    ['br;q=0.0,gzip;q=0.000', undefined],
    ['identity', undefined],
    ['brotli, xgzip', undefined],
    ['', undefined],
  ] as const) {
    const { status, headers, bytes } = await get('/console/assets/main-1a2b.js', {
      'accept-encoding': accept,
    })
    assert.equal(status, 200)
    assert.equal(headers['content-encoding'], encoding, accept)
    assert.equal(headers['vary'], 'accept-encoding')
    assert.equal(headers['content-length'], String(bytes.length))
    const plain =
      encoding === 'br' ? brotliDecompressSync(bytes) : encoding === 'gzip' ? gunzipSync(bytes) : bytes
    assert.equal(plain.toString(), script, accept)
    if (encoding !== undefined) assert.ok(bytes.length < script.length / 2)
  }
})

test('what is small or compressed already goes out as it is', async () => {
  for (const path of ['/console/', '/console/assets/logo.png'])
    assert.equal((await get(path, { 'accept-encoding': 'br, gzip' })).headers['content-encoding'], undefined)
})

test('what a browser has is not sent again, and HEAD sends no body', async () => {
  const path = '/console/assets/main-1a2b.js'
  const { headers } = await get(path, { 'accept-encoding': 'br' })
  assert.match(headers['cache-control']!, /immutable/)
  const again = await get(path, { 'accept-encoding': 'br', 'if-none-match': headers['etag']! })
  assert.deepEqual([again.status, again.bytes.length], [304, 0])
  const head = await get(path, { 'accept-encoding': 'br' }, 'HEAD')
  assert.deepEqual([head.bytes.length, head.headers['content-length']], [0, headers['content-length']])
})

test('an address of a page is the page, a missing file is none, and no path leads out of the folder', async () => {
  assert.equal((await get('/console/sessions/s_1?x=1')).bytes.toString(), page)
  assert.equal((await get('/console/assets/none.js')).status, 404)
  for (const path of [
    '/console/../../etc/passwd',
    '/console/%2e%2e/%2e%2e/etc/passwd',
    '/console//etc/passwd',
  ])
    assert.equal((await get(path)).bytes.toString(), page, path)
  assert.equal((await get('/console/', {}, 'POST')).status, 405)
})
