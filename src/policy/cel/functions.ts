import { RE2JS } from 're2js'
import { type Frame, isNumber, kindOf, pay, Span, typeNames } from './values.ts'

/**
 * The functions that conditions may call: this list and no other, since the library's own `matches` and `duration`
 * run regular expressions that backtrack. Each is told its receiver (if any) as the first argument.
 */
export interface CelFunction {
  /** Numbers of arguments it takes, the receiver not counted. */
  readonly arity: readonly number[]
  /** Called as `x.name()`, as `name(x)`, or either. */
  readonly style: 'method' | 'function' | 'either'
  /** This argument must be a literal text, so that what is compiled from it is compiled once, at load. */
  readonly literal?: (text: string) => unknown
  /** Throws a string when the values don't suit it; the caller adds the place. `prepared` is what `literal` made. */
  call(frame: Frame, args: readonly unknown[], prepared: unknown): unknown
}

/** What a function throws for values it can't take; turned into a ConditionError where it was called. */
export class Unsuited {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

function text(value: unknown, what = 'a string'): string {
  if (typeof value !== 'string') throw new Unsuited(`wants ${what}, not ${kindOf(value)}`)
  return value
}

function position(value: unknown): number {
  if (!isNumber(value) || !Number.isSafeInteger(Number(value))) throw new Unsuited('wants a whole number')
  return Number(value)
}

/** Copies and scans of text run at many characters a step. */
function payForText(frame: Frame, value: string): void {
  pay(frame, 1 + (value.length >> 5))
}

function onText(run: (receiver: string, argument: string) => unknown): CelFunction {
  return {
    arity: [1],
    style: 'method',
    call(frame, [receiver, argument]) {
      payForText(frame, text(receiver))
      payForText(frame, text(argument))
      return run(receiver as string, argument as string)
    },
  }
}

function onTextAlone(run: (receiver: string) => unknown): CelFunction {
  return {
    arity: [0],
    style: 'method',
    call(frame, [receiver]) {
      payForText(frame, text(receiver))
      return run(receiver as string)
    },
  }
}

const longestPattern = 1000

interface Pattern {
  readonly expression: RE2JS
  /** Steps per character: RE2 visits each instruction at most once per character. */
  readonly weight: number
}

function compilePattern(source: string): Pattern {
  if (source.length > longestPattern) throw new Error(`a pattern has at most ${longestPattern} characters`)
  const expression = RE2JS.compile(source)
  return { expression, weight: Math.ceil(expression.programSize() / 16) }
}

/** `matches`: found anywhere, in RE2 syntax, in time linear in the text (P12). */
const matches: CelFunction = {
  arity: [1],
  style: 'method',
  literal: compilePattern,
  call(frame, [receiver], prepared) {
    const { expression, weight } = prepared as Pattern
    pay(frame, 1 + text(receiver).length * weight)
    return expression.matcher(receiver as string).find()
  },
}

function size(frame: Frame, value: unknown): bigint {
  switch (kindOf(value)) {
    case 'string': {
      pay(frame, (value as string).length >> 5)
      let count = 0
      for (const _ of value as string) count++
      return BigInt(count)
    }
    case 'list':
      return BigInt((value as unknown[]).length)
    case 'map': {
      const { length } = Object.keys(value as object)
      pay(frame, length)
      return BigInt(length)
    }
    default:
      throw new Unsuited(`wants a string, list or map, not ${kindOf(value)}`)
  }
}

function toInt(value: unknown): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Math.abs(value) < 2 ** 63) return BigInt(Math.trunc(value))
  if (value instanceof Date) return BigInt(Math.floor(value.getTime() / 1000))
  if (
    typeof value === 'string' &&
    /^-?\d{1,19}$/.test(value) &&
    BigInt.asIntN(64, BigInt(value)) === BigInt(value)
  )
    return BigInt(value)
  throw new Unsuited('can not make an int of it')
}

function toDouble(value: unknown): number {
  if (isNumber(value)) return Number(value)
  if (typeof value === 'string' && /^-?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?$/.test(value))
    return Number(value)
  throw new Unsuited('can not make a double of it')
}

function toText(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'boolean' || isNumber(value)) return String(value)
  if (value instanceof Date) return value.toISOString()
  throw new Unsuited(`can not make a string of ${kindOf(value)}`)
}

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/

function timestamp(value: unknown): Date {
  const date = rfc3339.test(text(value)) ? new Date(value as string) : undefined
  if (date === undefined || Number.isNaN(date.getTime())) throw new Unsuited('wants an RFC 3339 time')
  return date
}

const spanUnits: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }

function span(value: unknown): Span {
  const source = text(value)
  // Bounded repeats and a bounded text: it can't backtrack far.
  if (source.length > 40 || !/^-?(\d{1,9}(\.\d{1,9})?(h|ms|m|s))+$/.test(source)) {
    throw new Unsuited('wants a duration such as "1h30m"')
  }
  let total = 0
  for (const [, amount, unit] of source.matchAll(/(\d{1,9}(?:\.\d{1,9})?)(h|ms|m|s)/g)) {
    total += Number(amount) * spanUnits[unit!]!
  }
  return new Span(source.startsWith('-') ? -total : total)
}

function split(frame: Frame, receiver: unknown, separator: unknown): string[] {
  pay(frame, text(receiver).length + 1)
  return (receiver as string).split(text(separator))
}

function join(frame: Frame, receiver: unknown, separator: unknown): string {
  if (!Array.isArray(receiver)) throw new Unsuited(`wants a list, not ${kindOf(receiver)}`)
  pay(frame, receiver.length)
  for (const part of receiver) payForText(frame, text(part, 'a list of strings'))
  const between = separator === undefined ? '' : text(separator)
  pay(frame, (between.length * receiver.length) >> 5)
  return receiver.join(between)
}

function find(from: 'indexOf' | 'lastIndexOf'): CelFunction {
  return onText((receiver, argument) => BigInt(receiver[from](argument)))
}

function substring(frame: Frame, args: readonly unknown[]): string {
  const receiver = text(args[0])
  payForText(frame, receiver)
  const start = position(args[1])
  const end = args.length > 2 ? position(args[2]) : receiver.length
  if (start < 0 || end < start || end > receiver.length) throw new Unsuited('is out of range')
  return receiver.slice(start, end)
}

/** A reading of the clock in UTC, or in the named zone. */
function part(read: (parts: ZonedTime) => number): CelFunction {
  return {
    arity: [0, 1],
    style: 'method',
    literal: zone => formatIn(zone),
    call(_frame, [receiver], prepared) {
      if (!(receiver instanceof Date)) throw new Unsuited(`wants a timestamp, not ${kindOf(receiver)}`)
      return BigInt(read(zonedTime(receiver, prepared as Intl.DateTimeFormat | undefined)))
    },
  }
}

interface ZonedTime {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
}

function formatIn(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
}

const utc = formatIn('UTC')

function zonedTime(date: Date, format = utc): ZonedTime {
  const read = Object.fromEntries(format.formatToParts(date).map(({ type, value }) => [type, Number(value)]))
  return read as unknown as ZonedTime
}

function convert(make: (value: unknown) => unknown): CelFunction {
  return { arity: [1], style: 'function', call: (_frame, [value]) => make(value) }
}

export const functions: ReadonlyMap<string, CelFunction> = new Map<string, CelFunction>([
  ['size', { arity: [0, 1], style: 'either', call: (frame, [value]) => size(frame, value) }],
  ['contains', onText((receiver, argument) => receiver.includes(argument))],
  ['startsWith', onText((receiver, argument) => receiver.startsWith(argument))],
  ['endsWith', onText((receiver, argument) => receiver.endsWith(argument))],
  ['matches', matches],
  ['indexOf', find('indexOf')],
  ['lastIndexOf', find('lastIndexOf')],
  ['lowerAscii', onTextAlone(receiver => receiver.replace(/[A-Z]+/g, run => run.toLowerCase()))],
  ['upperAscii', onTextAlone(receiver => receiver.replace(/[a-z]+/g, run => run.toUpperCase()))],
  ['trim', onTextAlone(receiver => receiver.trim())],
  ['substring', { arity: [1, 2], style: 'method', call: substring }],
  ['split', { arity: [1], style: 'method', call: (frame, [receiver, by]) => split(frame, receiver, by) }],
  ['join', { arity: [0, 1], style: 'method', call: (frame, [receiver, by]) => join(frame, receiver, by) }],
  ['int', convert(toInt)],
  ['double', convert(toDouble)],
  ['string', convert(toText)],
  ['timestamp', convert(timestamp)],
  ['duration', convert(span)],
  ['type', convert(value => typeNames[kindOf(value)] ?? null)],
  ['dyn', convert(value => value)],
  ['getFullYear', part(at => at.year)],
  ['getMonth', part(at => at.month - 1)],
  ['getDate', part(at => at.day)],
  ['getDayOfMonth', part(at => at.day - 1)],
  ['getDayOfWeek', part(at => new Date(Date.UTC(at.year, at.month - 1, at.day)).getUTCDay())],
  ['getHours', part(at => at.hour)],
  ['getMinutes', part(at => at.minute)],
  ['getSeconds', part(at => at.second)],
])
