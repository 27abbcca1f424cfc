/**
 * The console's files at `/console/`: read once, compressed once, served from memory. Every address below that is no
 * file is the page itself, so that an address can be shared. Built by `script/console`; where it is not, a page says so.
 */
import { hash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { protect, sendPage } from './auth-page.ts'

const base = '/console/'
const mostBytes = 32 * 1024 * 1024

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/vnd.microsoft.icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
}

interface File {
  readonly type: string
  readonly etag: string
  readonly bytes: Buffer
  readonly br?: Buffer
  readonly gzip?: Buffer
  /** The name has a hash of the content in it. */
  readonly immutable: boolean
}

/** Answers what is below `/console`. `directory` is where the build put it. */
export function createConsoleFiles(
  directory: string,
): (request: IncomingMessage, response: ServerResponse) => void {
  let files: Promise<ReadonlyMap<string, File>> | undefined
  const load = (): Promise<ReadonlyMap<string, File>> =>
    (files ??= readFiles(directory).then(found => {
      // Looked for again once somebody has built it.
      if (found.size === 0) files = undefined
      return found
    }))
  return (request, response) => {
    load().then(
      found => answer(found, request, response),
      () => {
        files = undefined
        sendPage(response, { status: 500, title: 'Sallyport', body: '<p>The console can not be read.</p>' })
      },
    )
  }
}

function answer(files: ReadonlyMap<string, File>, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '/').split(/[?#]/, 1)[0]!
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    return sendPage(response, { status: 405, title: 'Sallyport', body: '<p>Method not allowed.</p>' })
  }
  if (path === '/' || path === '/console') {
    protect(response)
    response.writeHead(302, { location: base }).end()
    return
  }
  const index = files.get('index.html')
  if (index === undefined) {
    return sendPage(response, {
      status: 503,
      title: 'The console is not built',
      body: '<p>Run <code>script/console</code> where the gateway is, and load this page again.</p>',
    })
  }
  const name = path.slice(base.length)
  const file = files.get(name)
  // A missing script answered with the page would be a riddle; only addresses of pages lead to it.
  if (file === undefined && extname(name) !== '')
    return sendPage(response, { status: 404, title: 'Sallyport', body: '<p>No such file.</p>' })
  send(file ?? index, request, response)
}

function send(file: File, request: IncomingMessage, response: ServerResponse): void {
  protect(response)
  response.setHeader('content-type', file.type)
  response.setHeader('vary', 'accept-encoding')
  response.setHeader('etag', file.etag)
  response.setHeader('cache-control', file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache')
  if (file.type.startsWith('text/html')) response.setHeader('content-security-policy', policyFor(request))
  if (request.headers['if-none-match'] === file.etag) {
    response.writeHead(304).end()
    return
  }
  const accepted = String(request.headers['accept-encoding'] ?? '')
  const encoding = (['br', 'gzip'] as const).find(
    each =>
      file[each] !== undefined && new RegExp(`\\b${each}\\b(?!\\s*;\\s*q=0(?:\\.0*)?(?:,|$))`).test(accepted),
  )
  if (encoding !== undefined) response.setHeader('content-encoding', encoding)
  const bytes = (encoding && file[encoding]) ?? file.bytes
  response.setHeader('content-length', bytes.length)
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

/**
 * Scripts and styles come from the console's own folder alone: `'self'` would be every address of this origin, and what
 * is below `/c/` comes from the upstreams.
 */
function policyFor(request: IncomingMessage): string {
  const authority =
    request.headers.host ?? String((request.headers as Record<string, unknown>)[':authority'] ?? '')
  const scheme = 'encrypted' in request.socket ? 'https' : 'http'
  const safe = /^[A-Za-z0-9.\-:[\]]+$/.test(authority)
  // Behind a proxy that ends TLS the browser's scheme is another: a source without one takes that of the page.
  const folder = safe ? `${authority}${base}` : "'none'"
  const own = safe ? `${scheme}://${folder} ${folder}` : folder
  return [
    "default-src 'none'",
    `script-src ${own}`,
    `style-src ${own}`,
    `img-src ${own} data:`,
    `font-src ${own}`,
    `manifest-src ${own}`,
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "object-src 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

async function readFiles(directory: string): Promise<ReadonlyMap<string, File>> {
  const files = new Map<string, File>()
  const found = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  let total = 0
  for (const each of found) {
    if (!each.isFile() || /\.(br|gz|map)$/.test(each.name)) continue
    const path = join(each.parentPath, each.name)
    const bytes = await readFile(path)
    total += bytes.length
    if (total > mostBytes) throw new Error('the console is larger than it can be')
    const name = path.slice(directory.length).replaceAll('\\', '/').replace(/^\//, '')
    files.set(name, await fileOf(name, bytes))
  }
  return files
}

async function fileOf(name: string, bytes: Buffer): Promise<File> {
  const type = types[extname(name)] ?? 'application/octet-stream'
  const etag = `"${hash('sha256', bytes, 'base64url').slice(0, 27)}"`
  const plain = { type, etag, bytes, immutable: name.startsWith('assets/') }
  if (!/^text|json|svg/.test(type) || bytes.length < 512) return plain
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9 }
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(bytes, { params }),
    promisify(gzip)(bytes, { level: 9 }),
  ])
  return { ...plain, br, gzip: gz }
}
