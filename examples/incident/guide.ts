import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { commands } from './story.ts'

const file = join(import.meta.dirname, '../../docs/guides/incident.md')

/** The guide with what each command printed under its line. */
export async function guideWith(printed: ReadonlyMap<string, string>): Promise<string> {
  return commands.reduce(
    (text, command) => {
      const start = text.indexOf(`$ ${command}\n`)
      if (start < 0) throw new TypeError(`the guide has no ${command}`)
      const from = start + command.length + 3
      return `${text.slice(0, from)}${printed.get(command)}\n${text.slice(text.indexOf('```', from))}`
    },
    await readFile(file, 'utf8'),
  )
}

export async function writeGuide(text: string): Promise<void> {
  await writeFile(file, text)
}
