/** What a body is, by its type and, where that says too little, by how it begins. */

export type Shape = 'json' | 'ndjson' | 'sse' | 'form' | 'multipart' | 'text' | 'binary'

export interface ContentType {
  /** Lower case, without parameters; empty where none is given. */
  readonly essence: string
  readonly charset: string
  readonly boundary: string
}

const parameter = /;\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))/g

/** RFC 9110 section 8.3.1. */
export function parseContentType(value: string | undefined): ContentType {
  const header = value ?? ''
  const essence = header.split(';', 1)[0]!.trim().toLowerCase()
  const parameters = new Map<string, string>()
  for (const [, name, quoted, plain] of header.matchAll(parameter))
    if (!parameters.has(name!.toLowerCase()))
      parameters.set(name!.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '')
  return {
    essence,
    charset: (parameters.get('charset') ?? '').toLowerCase(),
    boundary: parameters.get('boundary') ?? '',
  }
}

const ndjson = /^application\/(?:x-)?(?:ndjson|jsonl|json-lines|jsonlines|json-seq)$/
const textual =
  /^(?:text\/.+|.+\+(?:xml|yaml|text)|application\/(?:xml|xhtml|javascript|ecmascript|x-javascript|graphql|sql|x?-?yaml|toml|x-sh|x-pem-file|pem-certificate-chain|x-httpd-php|problem|http))$/
const json = /^(?:.+\/json|.+\/.+\+json|application\/(?:x-json|json5|reports|csp-report))$/

/** `unknown`: only a look at the bytes can tell text from binary. */
export function shapeOf(type: ContentType): Shape | 'unknown' {
  const { essence } = type
  if (essence === '') return 'unknown'
  if (ndjson.test(essence)) return 'ndjson'
  if (json.test(essence)) return 'json'
  if (essence === 'text/event-stream') return 'sse'
  if (essence === 'application/x-www-form-urlencoded') return 'form'
  if (essence.startsWith('multipart/')) return 'multipart'
  return textual.test(essence) ? 'text' : 'binary'
}

/** Charsets in which every byte below 0x80 is that ASCII character and nothing else. */
const ascii =
  /^(?:|utf-?8|us-ascii|ascii|iso-8859-\d{1,2}|latin-?\d|windows-125\d|cp125\d|koi8-[ru]|euc-(?:jp|kr)|binary)$/

export function isAsciiBased(charset: string): boolean {
  return ascii.test(charset)
}

/** Whether the body begins as text; decides for bodies without a type. `head` is a byte string. */
export function looksTextual(head: string): boolean {
  return !/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(head.slice(0, 1024))
}

/** JSON that is sent as text: Datadog's v1 does. `undefined`: white space so far. */
export function looksLikeJson(head: string): boolean | undefined {
  const first = head.replace(/^\xef\xbb\xbf/, '').trimStart()[0]
  return first === undefined ? undefined : first === '{' || first === '[' || first === '"'
}
