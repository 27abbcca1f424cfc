/**
 * The form of a gateway token, 79 characters, all of them safe in headers, queries and shells:
 *
 *   spt_ | id (26: Crockford base32, a ULID) | secret (43: base62, 256 bits) | checksum (6: CRC-32 of the rest, base62)
 *
 * The id finds the record without a search. The prefix and the checksum let secret scanners find leaked tokens without
 * false alarms, and let typing mistakes be told from guesses. Pattern for scanners: `spt_[0-9a-z]{26}[0-9A-Za-z]{49}`.
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { newId } from '../id.ts'

export const tokenPrefix = 'spt_'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const form = /^spt_([0-9a-z]{26})[0-9A-Za-z]{49}$/
const checksumLength = 6

/** A fresh token and the id in it, `tok_...`. */
export function makeToken(now: number): { readonly id: string; readonly token: string } {
  const id = newId('tok', now)
  const body = `${tokenPrefix}${id.slice('tok_'.length)}${randomText(43)}`
  return { id, token: body + checksum(body) }
}

/** The id in a token, or undefined where it is not a token or was changed by mistake. Proves nothing. */
export function readTokenId(token: string): string | undefined {
  const match = form.exec(token)
  if (match === null) return undefined
  const body = token.slice(0, -checksumLength)
  return token.endsWith(checksum(body)) ? `tok_${match[1]}` : undefined
}

/** Each character drawn evenly: bytes beyond the largest multiple of 62 are thrown away. */
function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(64)) {
      if (byte < 248 && text.length < length) text += base62[byte % 62]
    }
  }
  return text
}

function checksum(body: string): string {
  let rest = crc32(body)
  let text = ''
  for (let i = 0; i < checksumLength; i++, rest = Math.floor(rest / 62)) text = base62[rest % 62] + text
  return text
}
