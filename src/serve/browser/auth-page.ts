import { hash } from 'node:crypto'
import type { ServerResponse } from 'node:http'

/** The little that is shown before anybody is signed in. No script, nothing from elsewhere, one style by its hash. */
const style = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}
main{width:min(22rem,calc(100vw - 3rem));padding:2rem 0}
h1{font-size:1.25rem;margin:0 0 1rem}
form,.ways{display:grid;gap:.75rem}
label{display:grid;gap:.25rem;font-size:.9rem}
input,button,.way{font:inherit;padding:.6rem .75rem;border:1px solid GrayText;border-radius:.5rem;background:Field;color:FieldText;text-align:center;text-decoration:none}
input{text-align:left}
button{background:#1f5fbf;border-color:#1f5fbf;color:#fff;cursor:pointer}
:focus-visible{outline:3px solid #6aa5ff;outline-offset:2px}
.plain{background:Field;border-color:GrayText;color:FieldText}
.code{font:600 1.5rem/1.5 ui-monospace,monospace;letter-spacing:.1em;text-align:center;text-transform:uppercase}
.check{display:flex;gap:.5rem;align-items:baseline}
.soft{opacity:.75;font-size:.9rem}
.wrong{border-left:4px solid #c62828;padding-left:.75rem;margin:0 0 1rem}
`
const styleHash = `'sha256-${hash('sha256', style, 'base64')}'`

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, each => `&#${each.charCodeAt(0)};`)
}

/** Answers with a page. `body` is HTML, in which every text from elsewhere was escaped by who made it. */
export function sendPage(
  response: ServerResponse,
  { status = 200, title, body }: { readonly status?: number; readonly title: string; readonly body: string },
): void {
  response.statusCode = status
  protect(response)
  response.setHeader('content-type', 'text/html; charset=utf-8')
  response.setHeader(
    'content-security-policy',
    `default-src 'none'; style-src ${styleHash}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  )
  response.end(
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title><style>${style}</style><main><h1>${escapeHtml(title)}</h1>${body}</main></html>\n`,
  )
}

/** What every answer to a browser carries. */
export function protect(response: ServerResponse): void {
  response.setHeader('cache-control', 'no-store')
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('x-frame-options', 'DENY')
  response.setHeader('referrer-policy', 'no-referrer')
  response.setHeader('cross-origin-opener-policy', 'same-origin')
  response.setHeader('cross-origin-resource-policy', 'same-origin')
}
