/** Binary values as the server would write them as text, for people who read a recording. By the types' `_send` functions. */

type Read = (value: Buffer) => string | undefined

/** By OID (pg_type.dat). */
const readers: ReadonlyMap<number, Read> = new Map<number, Read>([
  [16, sized(1, value => (value[0] === 0 ? 'f' : 't'))],
  [17, value => `\\x${value.toString('hex')}`],
  [18, utf8],
  [19, utf8],
  [20, sized(8, value => String(value.readBigInt64BE()))],
  [21, sized(2, value => String(value.readInt16BE()))],
  [23, sized(4, value => String(value.readInt32BE()))],
  [25, utf8],
  [26, sized(4, value => String(value.readUInt32BE()))],
  [114, utf8],
  [700, sized(4, value => String(Number(value.readFloatBE().toPrecision(7))))],
  [701, sized(8, value => String(value.readDoubleBE()))],
  [1042, utf8],
  [1043, utf8],
  [1082, sized(4, dateText)],
  [1083, sized(8, value => timeText(value.readBigInt64BE()))],
  [1114, sized(8, value => instantText(value, ''))],
  [1184, sized(8, value => instantText(value, '+00'))],
  [1700, numericText],
  [2950, sized(16, uuidText)],
  [3802, value => (value[0] === 1 ? utf8(value.subarray(1)) : undefined)],
])

/** Undefined where the type is not known here, or the value not of its form. */
export function binaryText(type: number, value: Buffer): string | undefined {
  return readers.get(type)?.(value)
}

function sized(length: number, read: (value: Buffer) => string | undefined): Read {
  return value => (value.length === length ? read(value) : undefined)
}

function utf8(value: Buffer): string {
  return value.toString('utf8')
}

function uuidText(value: Buffer): string {
  return value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Days and microseconds are counted from 2000-01-01. */
const epochMs = Date.UTC(2000, 0, 1)
const dayMicros = 86_400_000_000n

function dateText(value: Buffer): string | undefined {
  const days = value.readInt32BE()
  if (days === 0x7fffffff) return 'infinity'
  if (days === -0x80000000) return '-infinity'
  return dayText(days)
}

function dayText(days: number): string | undefined {
  const date = new Date(epochMs + days * 86_400_000)
  return Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1 ? undefined : dayOf(date)
}

function dayOf(date: Date): string {
  const iso = date.toISOString()
  return iso.slice(iso.startsWith('+') ? 1 : 0, iso.indexOf('T')).replace(/^0+(?=\d{5,}-)/, '')
}

function timeText(micros: bigint): string {
  const two = (part: bigint): string => String(part % 60n).padStart(2, '0')
  const seconds = micros / 1_000_000n
  const fraction = micros % 1_000_000n
  const tail = fraction === 0n ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
  return `${String(seconds / 3600n).padStart(2, '0')}:${two(seconds / 60n)}:${two(seconds)}${tail}`
}

function instantText(value: Buffer, zone: string): string | undefined {
  const micros = value.readBigInt64BE()
  if (micros === 0x7fffffffffffffffn) return 'infinity'
  if (micros === -0x8000000000000000n) return '-infinity'
  const rest = ((micros % dayMicros) + dayMicros) % dayMicros
  const day = dayText(Number((micros - rest) / dayMicros))
  return day === undefined ? undefined : `${day} ${timeText(rest)}${zone}`
}

/** NUMERIC: count, weight, sign, display scale, then digits in base 10,000. */
function numericText(value: Buffer): string | undefined {
  if (value.length < 8) return undefined
  const count = value.readUInt16BE(0)
  const weight = value.readInt16BE(2)
  const sign = value.readUInt16BE(4)
  const scale = value.readUInt16BE(6)
  if (sign !== 0 && sign !== 0x4000) return { 0xc000: 'NaN', 0xd000: 'Infinity', 0xf000: '-Infinity' }[sign]
  if (value.length !== 8 + count * 2 || scale > 16_383) return undefined
  const digit = (at: number): string =>
    at < 0 || at >= count ? '0000' : String(value.readUInt16BE(8 + at * 2)).padStart(4, '0')
  let whole = ''
  for (let at = 0; at <= weight; at++) whole += digit(at)
  let fraction = ''
  for (let at = weight + 1; fraction.length < scale; at++) fraction += digit(at)
  const point = scale === 0 ? '' : `.${fraction.slice(0, scale)}`
  return `${sign === 0x4000 ? '-' : ''}${whole.replace(/^0+(?=\d)/, '') || '0'}${point}`
}
