/**
 * How the command speaks. On a terminal: colour, aligned columns, times in words. In a pipe: the same text without
 * colour. With `--json`: JSON, one object a line for lists. Results go to standard output, everything else (progress,
 * hints, errors) to standard error, so that output can always be piped.
 */
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

export function paint(style: Style, text: string): string {
  return process.stdout.isTTY ? styleText(style, text) : text
}

export function print(line = ''): void {
  process.stdout.write(`${line}\n`)
}

export function hint(line: string): void {
  process.stderr.write(`${line}\n`)
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Length as shown, without colour codes. */
function width(text: string): number {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/\u001b\[\d+(;\d+)*m/g, '').length
}

/** Rows under their heads, columns aligned; the last column is cut to the terminal. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map(row => width(row[i] ?? ''))))
  const room = (process.stdout.columns ?? 160) - widths.slice(0, -1).reduce((sum, each) => sum + each + 2, 0)
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        if (i < heads.length - 1) return cell + ' '.repeat(widths[i]! - width(cell))
        return process.stdout.isTTY && width(cell) > room && room > 10 ? `${cell.slice(0, room - 1)}…` : cell
      })
      .join('  ')
      .trimEnd()
  return [paint('dim', line(heads.map(head => head.toUpperCase()))), ...rows.map(line)].join('\n')
}

const outcomeStyles: Record<string, Style> = {
  success: 'green',
  approved: 'green',
  running: 'green',
  failure: 'red',
  denied: 'yellow',
  unknown: 'magenta',
  pending: 'cyan',
}

export function paintOutcome(outcome: string): string {
  const style = outcomeStyles[outcome]
  return style === undefined ? outcome : paint(style, outcome)
}

/** `12:04:05` for today, else with the date; local time. */
export function clockTime(iso: string): string {
  const at = new Date(iso)
  const time = at.toTimeString().slice(0, 8)
  return at.toDateString() === new Date().toDateString() ? time : `${iso.slice(0, 10)} ${time}`
}

/** `in 4 min`, `3 h ago`. */
export function relativeTime(iso: string, now = Date.now()): string {
  const seconds = Math.round((Date.parse(iso) - now) / 1000)
  const size = Math.abs(seconds)
  const text =
    size < 90 ? `${size} s` : size < 5400 ? `${Math.round(size / 60)} min` : `${Math.round(size / 3600)} h`
  return seconds >= 0 ? `in ${text}` : `${text} ago`
}

/**
 * Shows what would otherwise act on the terminal or hide: escape sequences, line ends, direction marks. All of this
 * text may be an agent's, written for the eyes of the person who is to approve it.
 */
export function visible(text: string): string {
  return text.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    each => `\\u{${each.codePointAt(0)!.toString(16).padStart(4, '0')}}`,
  )
}
