/** Numbers that name a person or an account: IBAN, US social security number, telephone. */
import { type CountryCode, parsePhoneNumberFromString } from 'libphonenumber-js/max'
import { bracket, classAt, dash, digit, dot, isAlphanumericAt, plus, space, upper } from './characters.ts'
import type { Detector } from './detector.ts'

/** Length by country (SWIFT IBAN registry). */
const ibanLengths: Record<string, number> = Object.fromEntries(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ' +
    'ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 ' +
    'LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 ' +
    'PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map(entry => [entry.slice(0, 2), Number(entry.slice(2))]),
)

/** Bank account numbers by country, length and check digits (ISO 13616), in one piece or in groups of four. */
export const iban: Detector = {
  kinds: ['iban'],
  all: upper | digit,
  any: 0,
  shortest: 15,
  mayHold: text => /[A-Z]{2}\d{2}/.test(text),
  find(text, found) {
    const start = /[A-Z]{2}\d{2}/g
    for (let match = start.exec(text); match !== null; match = start.exec(text)) {
      const length = ibanLengths[match[0].slice(0, 2)]
      start.lastIndex = match.index + 1
      if (length === undefined || isAlphanumericAt(text, match.index - 1)) continue
      const end = endOfIban(text, match.index, length)
      if (end < 0 || !passesMod97(text.slice(match.index, end).replaceAll(' ', ''))) continue
      found(match.index, end, 'iban')
      start.lastIndex = end
    }
  },
}

function endOfIban(text: string, start: number, length: number): number {
  let index = start
  for (let count = 0; count < length; index++) {
    if ((classAt(text, index) & (digit | upper)) !== 0) count++
    else if (text[index] !== ' ' || count % 4 !== 0 || text[index - 1] === ' ') return -1
  }
  return isAlphanumericAt(text, index) ? -1 : index
}

function passesMod97(account: string): boolean {
  let rest = 0
  for (const character of account.slice(4) + account.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    rest = (value > 9 ? rest * 100 + value : rest * 10 + value) % 97
  }
  return rest === 1
}

/** US social security numbers with their dashes, in the ranges that are given out. */
export const usSsn: Detector = {
  kinds: ['us-ssn'],
  all: digit | dash,
  any: 0,
  shortest: 11,
  mayHold: text => /\d{3}-\d{2}-\d{4}/.test(text),
  find(text, found) {
    const form = /\d{3}-\d{2}-\d{4}/g
    for (let match = form.exec(text); match !== null; match = form.exec(text)) {
      const end = match.index + 11
      const edges = classAt(text, match.index - 1) | classAt(text, end)
      if ((edges & dash) !== 0 || isAlphanumericAt(text, match.index - 1) || isAlphanumericAt(text, end))
        continue
      const [area, group, serial] = match[0].split('-')
      if (area === '000' || area === '666' || area! >= '900' || group === '00' || serial === '0000') continue
      found(match.index, end, 'us-ssn')
    }
  },
}

const phoneForm = /\+[1-9][\d ().-]{5,22}|\(?\d{2,5}\)?[ .-]\d{2,4}[ .-]\d{3,4}/

/**
 * Telephone numbers: international with `+`, or in the region's own form in three groups, and only where the number
 * plan has them. The cheap forms come first; the library sees candidates of at most 24 characters.
 */
export function phone(region: string): Detector {
  const form = new RegExp(phoneForm, 'g')
  return {
    kinds: ['phone'],
    all: digit,
    any: plus | dash | dot | space | bracket,
    shortest: 8,
    mayHold: text => phoneForm.test(text),
    find(text, found) {
      form.lastIndex = 0
      for (let match = form.exec(text); match !== null; match = form.exec(text)) {
        const candidate = match[0].replace(/[^\d]+$/, '')
        const end = match.index + candidate.length
        if (isAlphanumericAt(text, end) || isAlphanumericAt(text, match.index - 1)) continue
        const edges = classAt(text, match.index - 1) | (classAt(text, end) & dash)
        if ((edges & (dash | dot)) !== 0 || /^[.-]\d/.test(text.slice(end, end + 2))) continue
        if (/^\d{4}-\d{2}-\d{2}|\d\.\d{1,2}\.\d/.test(candidate)) continue
        const parsed = parsePhoneNumberFromString(candidate, region as CountryCode)
        if (parsed?.isValid() === true) found(match.index, end, 'phone')
      }
    },
  }
}
