import type { FieldChange } from '../model/compare.ts'
import { paint, visible } from './output.ts'

/** `- path: old`, `+ path: new`: one line for each side that there is. Safe to print, whoever wrote the values. */
export function changeLines(changes: readonly FieldChange[]): string[] {
  return changes.flatMap(({ path, before, after }) => [
    ...(before === undefined ? [] : [paint('red', `- ${visible(path)}: ${valueOf(before)}`)]),
    ...(after === undefined ? [] : [paint('green', `+ ${visible(path)}: ${valueOf(after)}`)]),
  ])
}

function valueOf(value: unknown): string {
  const text = visible(JSON.stringify(value))
  return text.length > 200 ? `${text.slice(0, 199)}…` : text
}
