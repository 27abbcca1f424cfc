import { classAt, digit, isAlphanumericAt } from './characters.ts'
import type { Detector } from './detector.ts'

/** Lengths of the groups as cards are printed. */
const printed = new Set(['4-4-4-4', '4-4-4-4-3', '4-6-5', '4-6-4', '4-4-5', '4-4-4-1', '6-10', '6-13'])
const mostGroups = 5
/** The fewest digits of a card, in one piece or in groups. Each start is given up after a constant number of steps. */
const fewestDigits = /\d(?:[ -]?\d){12}/

/** Numbers of payment cards, by network, length and check digit (ISO/IEC 7812), in one piece or in printed groups. */
export const paymentCard: Detector = {
  kinds: ['payment-card'],
  all: digit,
  any: 0,
  shortest: 13,
  mayHold: text => fewestDigits.test(text),
  find(text, found) {
    if (!fewestDigits.test(text)) return
    let groups: [number, number][] = []
    const settle = (): void => {
      for (let index = 0; index < groups.length; )
        index += takeCard(text, groups.slice(index, index + mostGroups), found)
      groups = []
    }
    const run = /\d+/g
    for (let match = run.exec(text); match !== null; match = run.exec(text)) {
      const last = groups.at(-1)
      const joined = last !== undefined && match.index === last[1] + 1 && /[ -]/.test(text[last[1]]!)
      if (!joined) settle()
      groups.push([match.index, match.index + match[0].length])
      if (groups.length > 4 * mostGroups) {
        // A long row of groups is settled in pieces, and the last ones stay for what follows.
        const kept = groups.slice(-mostGroups)
        settle()
        groups = kept
      }
    }
    settle()
  },
}

/** Reports the card that the first groups form; returns how many groups to go on by. */
function takeCard(
  text: string,
  groups: readonly (readonly [number, number])[],
  found: (start: number, end: number, kind: string) => void,
): number {
  let shape = ''
  let digits = ''
  for (const [index, [start, end]] of groups.entries()) {
    if (end - start > 19) break
    shape += index === 0 ? String(end - start) : `-${String(end - start)}`
    digits += text.slice(start, end)
    if (digits.length > 19) break
    if (digits.length < 13 || !(index === 0 || printed.has(shape))) continue
    if (!isCardNumber(digits, index > 0) || !isApart(text, groups[0]![0], end)) continue
    found(groups[0]![0], end, 'payment-card')
    return index + 1
  }
  return 1
}

/** No letter or digit touches it, and it is no part of a decimal number. */
function isApart(text: string, start: number, end: number): boolean {
  if (isAlphanumericAt(text, start - 1) || isAlphanumericAt(text, end)) return false
  if (text[start - 1] === '.' && (classAt(text, start - 2) & digit) !== 0) return false
  return !(text[end] === '.' && (classAt(text, end + 1) & digit) !== 0)
}

/**
 * The networks' ranges and lengths. In one piece, 17 and more digits are taken for UnionPay alone: ids and
 * nanosecond times have these lengths too.
 */
export function isCardNumber(digits: string, grouped: boolean): boolean {
  const size = digits.length
  const two = Number(digits.slice(0, 2))
  const four = Number(digits.slice(0, 4))
  const known =
    (digits[0] === '4' && (size === 13 || size === 16 || (grouped && size === 19))) ||
    (size === 16 && ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720))) ||
    (size === 15 && (two === 34 || two === 37)) ||
    (size === 14 && (two === 36 || two === 38 || two === 39 || (four >= 3000 && four <= 3059))) ||
    (size === 16 &&
      (four === 6011 || two === 65 || (four >= 6440 && four <= 6499) || (four >= 3528 && four <= 3589))) ||
    (size === 16 && [5018, 5020, 5038, 6304, 6759, 6761, 6763].includes(four)) ||
    (two === 62 && size >= 16 && size <= 19)
  return known && passesLuhn(digits)
}

function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    let value = digits.charCodeAt(digits.length - 1 - index) - 48
    if (index % 2 === 1) value = value > 4 ? value * 2 - 9 : value * 2
    sum += value
  }
  return sum % 10 === 0
}
