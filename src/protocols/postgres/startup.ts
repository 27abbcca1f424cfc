/** The parameters of the start-up packet: which database, and which settings the session begins with. */
import { OpeningError } from './downstream.ts'
import { isMeaningful } from './after.ts'
import { sqlStates } from './refusal.ts'
import { isReadableEncoding, refusedSetting, settingRisk } from './settings-judge.ts'
import type { PostgresSettings } from './settings.ts'

export interface Startup {
  /** To hand on to the server. */
  readonly parameters: readonly (readonly [string, string])[]
  /** Of them, those that decide what names mean. */
  readonly changed: ReadonlyMap<string, string>
}

/** Throws OpeningError for what is not supported or not known. */
export function readStartup(
  given: ReadonlyMap<string, string>,
  of: { readonly connection: string; readonly settings: PostgresSettings },
): Startup {
  const parameters: [string, string][] = []
  for (const [name, value] of given) {
    switch (name) {
      case 'user':
        continue
      case 'database':
        if (value !== of.connection && value !== of.settings.database)
          throw new OpeningError(
            '3D000',
            `database "${value}" does not exist`,
            `Here it is "${of.connection}".`,
          )
        continue
      case 'replication':
        if (/^(?:false|off|no|0)$/i.test(value)) continue
        throw new OpeningError(sqlStates.unsupported, 'replication is not supported through the gateway')
      case 'application_name':
        // It carries the session's id, so that the server's own log can be matched.
        continue
      case 'client_encoding':
        if (!isReadableEncoding(value.replaceAll("'", '')))
          throw new OpeningError(
            sqlStates.unsupported,
            'client_encoding must be UTF8',
            'Set PGCLIENTENCODING=UTF8.',
          )
        continue
      case 'options':
        parameters.push(...optionsOf(value))
        continue
      default:
        parameters.push([name.toLowerCase(), value])
    }
  }
  for (const [name, value] of parameters) {
    const refused =
      refusedSetting({ name, value, reset: false }, of.settings.read_only) ??
      (settingRisk({ name, value, reset: false }) === 'read'
        ? undefined
        : `${name} can not be set at the start`)
    if (refused !== undefined)
      throw new OpeningError(sqlStates.denied, refused, 'Set it by a statement, which policy judges.')
  }
  return { parameters, changed: new Map(parameters.filter(([name]) => isMeaningful(name))) }
}

/** `-c name=value`, `-cname=value` and `--name=value`, with `\` before a blank that belongs to a value. */
function optionsOf(text: string): [string, string][] {
  const words = text.match(/(?:\\.|[^\s\\])+/g)?.map(word => word.replaceAll(/\\(.)/g, '$1')) ?? []
  const settings: [string, string][] = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!
    const assigned = word === '-c' ? words[++index] : /^(?:-c|--)(.+)$/.exec(word)?.[1]
    const at = assigned?.indexOf('=') ?? -1
    if (assigned === undefined || at <= 0)
      throw new OpeningError(sqlStates.unsupported, 'of the options only -c name=value is supported')
    settings.push([assigned.slice(0, at).toLowerCase().replaceAll('-', '_'), assigned.slice(at + 1)])
  }
  return settings
}
