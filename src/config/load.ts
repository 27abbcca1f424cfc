import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import type { Connection } from '../model/connection.ts'
import { commonKeys } from './connections.ts'
import { parseYaml, type Problem, ProblemsError } from './located-yaml.ts'
import { type Config, configSchema } from './schema.ts'

/** A protocol as far as its configuration goes. */
export interface ConfigurableProtocol {
  readonly name: string
  readonly settings: z.ZodType
  readonly credential: { readonly required: readonly string[]; readonly optional: readonly string[] }
}

export interface LoadedConfig {
  readonly config: Config
  /** Absolute path of the file, and the directory that relative paths in it start from. */
  readonly file: string
  readonly base: string
  readonly text: string
  readonly connections: readonly Connection[]
}

/** Reads and checks a whole configuration file. Throws ProblemsError with every mistake and its line and column. */
export async function loadConfig(
  path: string,
  protocols: readonly ConfigurableProtocol[],
): Promise<LoadedConfig> {
  const file = resolve(path)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const { code, message: said } = error as NodeJS.ErrnoException
    const message =
      code === 'ENOENT' ? 'there is no such file; --config <file> names another' : `can't be read: ${said}`
    throw new ProblemsError([{ file: path, line: 1, column: 1, path: '', message }])
  }
  return parseConfig(text, file, protocols)
}

/** As `loadConfig`, from text. */
export function parseConfig(
  text: string,
  file: string,
  protocols: readonly ConfigurableProtocol[],
): LoadedConfig {
  const connections: Connection[] = []
  const schema = configSchema.superRefine((config, context) => {
    const names = new Set<string>()
    config.connections.forEach((each, i) => {
      const at = ['connections', i]
      if (names.has(each.name)) {
        context.addIssue({
          code: 'custom',
          path: [...at, 'name'],
          message: `a connection is called ${each.name} already`,
        })
      }
      names.add(each.name)
      const { issues, connection } = readConnection(each, protocols)
      for (const issue of issues)
        context.addIssue({ code: 'custom', path: [...at, ...issue.path], message: issue.message })
      if (connection !== undefined) connections.push(connection)
    })
    config.sign_in.providers.forEach((each, i) => {
      if (each.kind !== 'oidc') return
      const { issuers } = config.identity
      if (!issuers.some(({ name, issuer }) => name === each.issuer || issuer === each.issuer)) {
        context.addIssue({
          code: 'custom',
          path: ['sign_in', 'providers', i, 'issuer'],
          message: 'no such issuer in identity.issuers, which says what its claims mean',
        })
      }
    })
    config.listen.forEach((each, i) => {
      const at = ['listen', i]
      if (each.connection !== undefined && !names.has(each.connection)) {
        context.addIssue({
          code: 'custom',
          path: [...at, 'connection'],
          message: `there is no connection ${each.connection}`,
        })
      }
      const issuer = each.tls?.clients?.issuer
      if (issuer !== undefined && !config.identity.certificates.some(({ name }) => name === issuer)) {
        context.addIssue({
          code: 'custom',
          path: [...at, 'tls', 'clients', 'issuer'],
          message: `there is no ${issuer} in identity.certificates`,
        })
      }
      if (each.tls === undefined && !each.allow_plain && !isLoopback(each.address)) {
        context.addIssue({
          code: 'custom',
          path: [...at, 'address'],
          message:
            'plain HTTP on an address that is not loopback: add tls, or allow_plain: true behind a proxy that ends TLS',
        })
      }
    })
  })
  const parsed = parseYaml(text, file, schema)
  if ('problems' in parsed) throw new ProblemsError(parsed.problems)
  return { config: parsed.value, file, base: dirname(file), text, connections }
}

interface PlacedIssue {
  readonly path: PropertyKey[]
  readonly message: string
}

function readConnection(
  each: Config['connections'][number],
  protocols: readonly ConfigurableProtocol[],
): { issues: PlacedIssue[]; connection?: Connection } {
  const protocol = protocols.find(known => known.name === each.protocol)
  if (protocol === undefined) {
    const names = protocols.map(known => known.name).join(', ')
    return { issues: [{ path: ['protocol'], message: `no such protocol; there are: ${names}` }] }
  }
  const own = Object.fromEntries(Object.entries(each).filter(([key]) => !commonKeys.has(key)))
  const settings = protocol.settings.safeParse(own)
  const issues: PlacedIssue[] = settings.success
    ? []
    : settings.error.issues.flatMap(issue =>
        issue.code === 'unrecognized_keys'
          ? issue.keys.map(key => ({
              path: [...issue.path, key],
              message: `no such option for ${each.protocol}`,
            }))
          : [{ path: [...issue.path], message: issue.message }],
      )
  for (const name of protocol.credential.required) {
    if (!(name in each.credential))
      issues.push({ path: ['credential'], message: `${each.protocol} needs \`${name}\`` })
  }
  const allowed = [...protocol.credential.required, ...protocol.credential.optional]
  for (const name of Object.keys(each.credential)) {
    if (!allowed.includes('*') && !allowed.includes(name)) {
      issues.push({
        path: ['credential', name],
        message: `${each.protocol} knows no such secret; it has: ${allowed.join(', ')}`,
      })
    }
  }
  if (!settings.success || issues.length > 0) return { issues }
  const { name, sensitivity, labels, credential } = each
  return {
    issues,
    connection: { name, protocol: each.protocol, sensitivity, labels, credential, settings: settings.data },
  }
}

function isLoopback(address: string): boolean {
  const host = address.slice(0, address.lastIndexOf(':'))
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** Problems as the CLI prints them: one line each. */
export type { Problem }
