import { access, constants, stat, statfs } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { loadConfig, type LoadedConfig } from '../../config/load.ts'
import { ProblemsError } from '../../config/located-yaml.ts'
import { isReference } from '../../config/secret.ts'
import { openSecret } from '../../credentials/references.ts'
import { GatewayError } from '../../errors.ts'
import { apiUrl, openDatadogApi } from '../../export/datadog/api.ts'
import { keptAtDatadog } from '../../export/datadog/kept-there.ts'
import { keptFindings, type KeptThere } from '../../export/kept.ts'
import { createAuthenticator } from '../../identity/create-authenticator.ts'
import { IssuerKeys } from '../../identity/issuer-keys.ts'
import { systemClock } from '../../clock.ts'
import { protocols } from '../../main.ts'
import { connect } from '../client.ts'
import { exit } from '../failure.ts'
import { globals } from '../globals.ts'
import { paint, print, printJson } from '../output.ts'
import type { CredentialSource } from '../../model/credential.ts'

interface Finding {
  readonly what: string
  readonly state: 'ok' | 'warn' | 'bad'
  readonly detail: string
}

async function checkSecrets({ config, connections, base }: LoadedConfig): Promise<Finding[]> {
  const ofConnections = connections.flatMap(({ name, credential }) =>
    Object.entries(credential).flatMap(([secret, source]) =>
      referencesIn(source).map(ref => ({ what: `${name}: ${secret}`, ref })),
    ),
  )
  const ofSinks = config.sinks.flatMap(sink =>
    Object.entries(sink).flatMap(([option, value]) =>
      typeof value === 'string' && isReference(value)
        ? [{ what: `sink ${sink.name}: ${option}`, ref: value }]
        : [],
    ),
  )
  return await Promise.all(
    [...ofConnections, ...ofSinks].map(async ({ what, ref }): Promise<Finding> => {
      try {
        const value = await openSecret(ref, base).read()
        return { what, state: 'ok', detail: `there, ${value.length} characters` }
      } catch (error) {
        return {
          what,
          state: 'bad',
          detail: error instanceof GatewayError ? (error.detail ?? error.title) : String(error),
        }
      }
    }),
  )
}

/** The references to secrets of this machine; a token that is issued is asked for by the check of its connection. */
function referencesIn(source: CredentialSource): string[] {
  if (typeof source === 'string') return [source]
  return [source.oauth.client_secret, source.oauth.private_key].filter(each => each !== undefined)
}

async function checkIssuers({ config, base }: LoadedConfig): Promise<Finding[]> {
  const { issuers } = config.identity
  const authenticator = createAuthenticator({
    issuers,
    clock: systemClock,
    keys: new IssuerKeys({ clock: systemClock, base }),
  })
  try {
    await authenticator.warm().catch(() => undefined)
    return authenticator
      .status()
      .map(({ name, ok, detail }) => ({ what: `issuer ${name}`, state: ok ? 'ok' : 'bad', detail }))
  } finally {
    await authenticator.close()
  }
}

async function checkData({ config, base }: LoadedConfig): Promise<Finding[]> {
  const directory = resolve(base, config.data)
  const findings: Finding[] = []
  try {
    await access(directory, constants.R_OK | constants.W_OK)
    const { mode } = await stat(directory)
    const open = (mode & 0o077) !== 0
    findings.push({
      what: 'data directory',
      state: open ? 'bad' : 'ok',
      detail: open ? `others can read it: chmod 700 ${config.data}` : config.data,
    })
    const { bavail, blocks, bsize } = await statfs(directory)
    const free = Math.round((bavail / blocks) * 100)
    const { warn_percent, refuse_percent, enough_bytes } = config.storage.watermarks
    const short = bavail * bsize < enough_bytes
    findings.push({
      what: 'disk',
      state: short && free < refuse_percent ? 'bad' : short && free < warn_percent ? 'warn' : 'ok',
      detail: `${free} % free`,
    })
    const key = await stat(join(directory, 'keys', 'log.key')).catch(() => undefined)
    if (key !== undefined) {
      const loose = (key.mode & 0o077) !== 0
      findings.push({
        what: 'signing key',
        state: loose ? 'bad' : 'ok',
        detail: loose ? 'others can read it' : 'only this user can read it',
      })
    }
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    findings.push({
      what: 'data directory',
      state: missing ? 'warn' : 'bad',
      detail: missing ? 'not made yet; `serve` makes it' : (error as Error).message,
    })
  }
  return findings
}

function checkPosture({ config }: LoadedConfig): Finding[] {
  const findings: Finding[] = []
  if (config.sinks.length === 0)
    findings.push({ what: 'sinks', state: 'warn', detail: 'none: the log stays on this machine' })
  if (config.identity.issuers.length === 0)
    findings.push({ what: 'issuers', state: 'warn', detail: 'none: only gateway tokens are accepted' })
  const { issuers } = config.identity
  for (const each of issuers.filter(({ allow_insecure_http }) => allow_insecure_http)) {
    findings.push({ what: `issuer ${each.name}`, state: 'warn', detail: 'is asked over plain HTTP' })
  }
  for (const each of config.listen.filter(({ allow_plain }) => allow_plain)) {
    findings.push({
      what: `listener ${each.address}`,
      state: 'warn',
      detail: 'takes plain HTTP: only behind a proxy that ends TLS',
    })
  }
  return findings
}

/** Asks Datadog where there is a key for it, and tells by the configuration where not. */
async function checkKept({ config, base }: LoadedConfig): Promise<Finding[]> {
  const there = new Map<string, KeptThere>()
  const findings: Finding[] = []
  for (const sink of config.sinks.filter(each => each.type === 'datadog')) {
    if (sink.app_key === undefined) continue
    const [apiKey, appKey] = [openSecret(sink.api_key, base), openSecret(sink.app_key, base)]
    const url = (sink.api_url ?? apiUrl(sink.site)).replace(/\/+$/, '')
    const api = openDatadogApi({ url, apiKey: () => apiKey.read(), appKey: () => appKey.read(), tries: 2 })
    try {
      there.set(sink.name, await keptAtDatadog(api, sink.setup.index.name))
    } catch (error) {
      const detail = `Datadog did not say how long it keeps: ${(error as Error).message}`
      findings.push({ what: `sink ${sink.name}`, state: 'warn', detail })
    } finally {
      await api.close()
    }
  }
  const kept = keptFindings(config, there)
  return [...findings, ...kept.map(({ where, ...rest }) => ({ what: `kept: ${where}`, ...rest }))]
}

async function checkRunning(command: Command): Promise<Finding[]> {
  const options = globals(command)
  try {
    const api = await connect(options)
    const status = await api.call<{
      version: string
      log: { healthy: boolean; size: number; checkpoint?: { size: number } }
    }>('/status')
    const { log } = status
    const behind = log.size - (log.checkpoint?.size ?? 0)
    return [
      { what: 'gateway', state: 'ok', detail: `${status.version} answers at ${api.where}` },
      {
        what: 'log',
        state: log.healthy ? 'ok' : 'bad',
        detail: log.healthy ? `${log.size} entries, ${behind} not yet signed over` : 'can not be written',
      },
    ]
  } catch (error) {
    return [{ what: 'gateway', state: 'warn', detail: (error as Error).message }]
  }
}

async function doctor(_: unknown, command: Command): Promise<void> {
  const options = globals(command)
  const file = options.config ?? 'sallyport.yaml'
  const findings: Finding[] = []
  try {
    const loaded = await loadConfig(file, protocols)
    findings.push({
      what: 'configuration',
      state: 'ok',
      detail: `${file}, ${loaded.connections.length} connections`,
    })
    findings.push(
      ...checkPosture(loaded),
      ...(await checkData(loaded)),
      ...(await checkSecrets(loaded)),
      ...(await checkIssuers(loaded)),
      ...(await checkKept(loaded)),
    )
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error
    findings.push({ what: 'configuration', state: 'bad', detail: error.message })
  }
  findings.push(...(await checkRunning(command)))
  const marks = { ok: paint('green', 'ok  '), warn: paint('yellow', 'warn'), bad: paint('red', 'bad ') }
  for (const finding of findings) {
    if (options.json === true) printJson(finding)
    else print(`${marks[finding.state]}  ${finding.what.padEnd(28)} ${finding.detail}`)
  }
  if (findings.some(({ state }) => state === 'bad')) process.exitCode = exit.failed
}

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('Look for what is wrong: configuration, secrets, issuers, disk, the running gateway')
    .action(doctor)
}
