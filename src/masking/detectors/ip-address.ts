import { isIPv4, isIPv6 } from 'node:net'
import { alphabet, classAt, colon, digit, dot, endOfRun, isAlphanumericAt, underscore } from './characters.ts'
import type { Detector } from './detector.ts'

const quad = alphabet(/[0-9.]/)
const groups = alphabet(/[0-9a-fA-F:.]/)

/** IPv4 and IPv6 addresses, save loopback, unspecified and broadcast, which name nobody. */
export const ipAddress: Detector = {
  kinds: ['ip-address'],
  all: digit,
  any: dot | colon,
  shortest: 4,
  find(text, found) {
    each(text, { mark: '.', of: quad }, (start, end) => {
      if (
        isIPv4(text.slice(start, end)) &&
        !/^(?:127\.|0\.0\.0\.0$|255\.255\.255\.255$)/.test(text.slice(start, end))
      )
        found(start, end, 'ip-address')
    })
    each(text, { mark: ':', of: groups }, (start, end) => {
      const run = text.slice(start, end)
      if (end - start >= 4 && /\d/.test(run) && isIPv6(run) && run !== '::1') found(start, end, 'ip-address')
    })
  },
}

const longest = 45

/** Calls back for each run of these bytes that holds the mark and that no word touches. */
function each(
  text: string,
  { mark, of }: { mark: string; of: Uint8Array },
  take: (start: number, end: number) => void,
): void {
  let floor = 0
  for (let index = text.indexOf(mark); index >= 0; index = text.indexOf(mark, floor)) {
    let start = index
    while (start > floor && index - start <= longest && of[text.charCodeAt(start - 1)] === 1) start--
    let end = endOfRun(text, index, { of })
    floor = end
    // A sentence may end right after an address, and a name may stand before it.
    while (end > start && (text[end - 1] === '.' || (text[end - 1] === ':' && text[end - 2] !== ':'))) end--
    if (end - start > longest || isAlphanumericAt(text, start - 1) || isAlphanumericAt(text, end)) continue
    if (((classAt(text, start - 1) | classAt(text, end)) & underscore) === 0) take(start, end)
  }
}
