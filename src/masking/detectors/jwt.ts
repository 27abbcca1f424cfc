import { base64url, dot, endOfRun, lower, upper } from './characters.ts'
import type { Detector } from './detector.ts'

const shortestSegment = 8

/** JSON Web Tokens in compact form, signed (RFC 7515 section 7.1) or encrypted (RFC 7516 section 7.1). */
export const jwt: Detector = {
  kinds: ['jwt'],
  all: dot | lower | upper,
  any: 0,
  shortest: 24,
  mayHold: text => text.includes('eyJ'),
  find(text, found) {
    let index = text.indexOf('eyJ')
    while (index >= 0) {
      const end = endOfToken(text, index)
      if (end.token) found(index, end.at, 'jwt')
      // Every later start in the first segment would meet the same end, so none of them is tried.
      index = text.indexOf('eyJ', end.at)
    }
  },
}

function endOfToken(text: string, start: number): { at: number; token: boolean } {
  const header = endOfRun(text, start, { of: base64url })
  if (header - start < shortestSegment || text[header] !== '.') return { at: header, token: false }
  const payload = endOfRun(text, header + 1, { of: base64url })
  // An encrypted token with a direct key has an empty second segment, and three more.
  if (text[payload] !== '.') return { at: header, token: false }
  let at = payload
  let segments = 2
  while (segments < 5 && text[at] === '.') {
    at = endOfRun(text, at + 1, { of: base64url })
    segments++
  }
  const long = payload - header - 1 >= shortestSegment || (segments === 5 && at - payload > shortestSegment)
  return long ? { at, token: true } : { at: header, token: false }
}
