/**
 * The composition root: configuration -> stores -> services -> listeners. It alone names concrete classes; everything
 * else is handed what it needs. Start-up closes what a crash left open before a listener opens (P2).
 */
import { mkdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { apiBase, createApi } from './api/handler.ts'
import { allRoutes } from './api/routes.ts'
import type { Services } from './api/services.ts'
import { Approvals } from './approvals/approvals.ts'
import { BreakGlass } from './approvals/break-glass.ts'
import { DefinitionPins } from './approvals/definition-pins.ts'
import { findEntryIn } from './approvals/find-entry.ts'
import { Grants } from './approvals/grants.ts'
import { openCheckpointer } from './audit/checkpoint.ts'
import { type AuditLog, openAudit } from './audit/log.ts'
import { openSigningKeys } from './audit/signing-keys.ts'
import { syncDirectories } from './audit/tiles.ts'
import { systemClock } from './clock.ts'
import { loadConfig, type LoadedConfig } from './config/load.ts'
import { socketPath } from './config/local.ts'
import { createCredentials } from './credentials/credentials.ts'
import { UpstreamGrants, type UpstreamGrantsParts } from './credentials/oauth/upstream-grants.ts'
import { openSecret } from './credentials/references.ts'
import { loadSealingKey } from './credentials/sealing-key.ts'
import { createExport } from './export/export.ts'
import type { Protocol } from './gateway/protocol.ts'
import { OpenSessions } from './gateway/sessions.ts'
import { SpentAssertions } from './identity/assertions/spent-assertions.ts'
import { IssuerKeys } from './identity/issuer-keys.ts'
import { terminalSessions } from './identity/sign-in/terminal-sessions.ts'
import { GatewayTokens } from './identity/tokens.ts'
import { atMostEvery, createLogger, type Logger } from './log.ts'
import { openDeferrals } from './protocols/deferrals.ts'
import { openKeeping } from './protocols/keeping.ts'
import { datadogProtocol } from './protocols/http/datadog/index.ts'
import { httpProtocol } from './protocols/http/index.ts'
import { mcpProtocol } from './protocols/mcp/index.ts'
import { postgresProtocol } from './protocols/postgres/index.ts'
import { refusedRequests } from './protocols/refused-requests.ts'
import { Budgets } from './policy/budgets.ts'
import { loadRecordingKeys } from './recording/keys.ts'
import { EncryptedRecordings } from './recording/recordings.ts'
import { DiskWatch } from './retention/disk-watch.ts'
import { Retention } from './retention/retention.ts'
import { openBrowserSide } from './serve/browser/browser-side.ts'
import { openSignIn } from './serve/browser/open-sign-in.ts'
import { identifyByToken, identifyLocally } from './serve/callers.ts'
import { ConnectionTable } from './serve/connections.ts'
import { openDetection } from './serve/detection.ts'
import { fitsSocket, openListeners, openLocalSocket } from './serve/listeners.ts'
import { LiveGateway } from './serve/live-gateway.ts'
import { openNotifications } from './serve/notifications.ts'
import { pages } from './serve/pages.ts'
import { Reloader } from './serve/reloader.ts'
import type { Storage } from './storage/storage.ts'
import { openEmbeddedStorage } from './storage/embedded/storage.ts'
import { version } from './version.ts'
import { openWitnesses, policyOf } from './witness/open-witnesses.ts'

/** Every protocol that this build speaks. */
export const protocols: readonly Protocol[] = [httpProtocol, datadogProtocol, mcpProtocol, postgresProtocol]

export interface RunningGateway {
  /** Addresses that clients reach, in the order of the configuration. */
  readonly urls: readonly string[]
  readonly services: Services
  /** Takes up the configuration file again, as a change of the file does. False: it was not valid and nothing changed. */
  reload(): Promise<boolean>
  /** Stops taking clients, lets running actions end for at most `graceMs`, then closes the log in good order. */
  close(graceMs?: number): Promise<void>
}

export interface StartOptions {
  readonly config: string
  readonly logger?: Logger
  /** Called when the log can no longer be trusted: the process must end, and start again. */
  readonly onFault?: (error: unknown) => void
  /** Given the link with which a first administrator signs in, where nobody can sign in yet. It works once. */
  readonly onFirstLink?: (link: string) => void
}

const closeGraceMs = 10_000

/** Starts a gateway. Throws ProblemsError for a configuration that is not valid; nothing is left running then. */
export async function startGateway(options: StartOptions): Promise<RunningGateway> {
  const logger = options.logger ?? createLogger()
  const loaded = await loadConfig(options.config, protocols)
  await using undo = new AsyncDisposableStack()
  const parts = await openServices(loaded, { ...options, logger, undo })
  const { services, gateway, table } = parts

  const api = createApi(services, allRoutes)
  const { config, base } = loaded
  const socket = socketPath(parts.directory)
  if (fitsSocket(socket)) {
    const local = await openLocalSocket(socket, (request, response) => {
      void api.handle(request, response, identifyLocally())
    })
    undo.defer(() => local.close())
  } else {
    logger.warn('no local socket: its path is too long for the system; the API is reached by URL and token', {
      socket,
    })
  }
  const identifyAt = identifyByToken({
    audit: services.audit,
    authenticator: gateway.authenticator,
    rolesOf: subject => gateway.rolesOf(subject),
  })
  const { identify, browser } = openBrowserSide({
    services,
    rolesOf: subject => gateway.rolesOf(subject),
    otherwise: request => identifyAt(apiBase, request),
  })
  const unreadable = refusedRequests(services.audit)
  undo.defer(() => unreadable.close())
  const listeners = await openListeners({
    unreadable,
    listen: config.listen,
    certificates: config.identity.certificates,
    limits: config.limits,
    base,
    authorities: config.public_url === undefined ? [] : [new URL(config.public_url).host],
    table,
    domain: config.domain,
    pages: pages({ services, api, identify, identifyAt, browser }),
  })
  undo.defer(() =>
    Promise.all(listeners.map(({ server }) => server.close(closeGraceMs))).then(() => undefined),
  )
  const urls = listeners.map(({ url }) => url)
  // Links lead to the API, which a listener of one connection does not have.
  const shared = listeners.find(({ connection }) => connection === undefined) ?? listeners[0]
  gateway.publicUrl = config.public_url ?? shared!.url
  const reloader = new Reloader({ loaded, protocols, gateway, table, services, logger })
  undo.defer(() => reloader.close())
  services.export.start()
  services.notifications.start()
  services.retention.start()
  void gateway.warm()
  if (options.onFirstLink !== undefined) {
    const link = await services.signIn.firstLink()
    if (link !== undefined) options.onFirstLink(link)
  }
  logger.info('listening', { urls, log: config.origin, entries: services.storage.log.size })

  const running = undo.move()
  let closing: Promise<void> | undefined
  return {
    urls,
    services,
    reload: () => reloader.reload(),
    close(graceMs = closeGraceMs) {
      closing ??= (async () => {
        reloader.close()
        services.approvals.stop()
        await Promise.all(listeners.map(({ server }) => server.close(graceMs)))
        await table.close(graceMs)
        await running.disposeAsync()
      })()
      return closing
    },
  }
}

interface Parts {
  readonly services: Services
  readonly gateway: LiveGateway
  readonly table: ConnectionTable
  readonly directory: string
}

type Opened = StartOptions & { readonly logger: Logger; readonly undo: AsyncDisposableStack }

async function openServices(loaded: LoadedConfig, options: Opened): Promise<Parts> {
  const { config, base } = loaded
  const { undo, logger } = options
  const directory = resolve(base, config.data)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  // What is durable inside a directory is no use where the directory itself is not.
  syncDirectories([directory], dirname(directory))
  const log = await openLog(loaded, directory, options)
  const { storage, audit, registry, disk } = log

  const keys = await loadRecordingKeys(join(directory, 'keys'), config.recording)
  if (keys.created) await audit.note('key.created', { purpose: 'recording', recipients: keys.recipients })
  const { max_bytes: maxBytes } = config.recording
  const recordings = new EncryptedRecordings({ log: storage.log, state: storage.state, keys, maxBytes })
  const { idle, max_age } = config.sessions
  const sessions = new OpenSessions(audit, systemClock, {
    idleMs: idle,
    maxMs: max_age,
    admit: disk.refuseSession,
  })
  sessions.onEnd(session => recordings.forget(session.id))
  undo.defer(() => sessions.closeAll('shutdown'))
  const budgets = await openBudgets(storage, undo)
  const consent = await openConsent(loaded, { storage, audit, directory }, undo)
  const watching = await openDetection({ ...log, config, directory, clock: systemClock, logger, undo })
  const { state } = storage
  const spent = new SpentAssertions(storage.state, systemClock)
  const tokens = new GatewayTokens({ state, config: config.identity.tokens, clock: systemClock })
  const { credentials, upstreamGrants } = await openVault(base, directory, {
    state,
    audit,
    publicUrl: () => gateway.publicUrl,
    connections: () => table.list().map(({ connection }) => connection),
  })
  const signIn = openSignIn({ base, storage, audit, clock: systemClock, gateway: () => gateway })
  undo.defer(() => signIn.close())
  const issuers = new IssuerKeys({ clock: systemClock, base })
  const kept = {
    carried: await loadSealingKey(join(directory, 'keys'), 'carried-state'),
    audit,
    sessions,
    recordings,
    ...consent,
    ...watching,
    tokens,
    spent,
    terminals: terminalSessions(secret => signIn.find(secret, 'terminal')),
    budgets,
    registry,
    credentials,
    keys: issuers,
  }
  const gateway = await LiveGateway.open({ ...kept, loaded, clock: systemClock, logger })
  undo.defer(() => gateway.close())
  const table = new ConnectionTable(gateway, protocols)
  await table.apply(loaded.connections, audit)
  const { shipping, retention } = await openFollowers(loaded, { ...log, recordings, sessions }, options)
  const asking = openNotifications({ loaded, storage, audit, clock: systemClock, gateway, ...consent })
  undo.defer(() => asking.stop(closeGraceMs))
  const open = {
    ...log,
    config,
    retention,
    sessions,
    recordings,
    ...consent,
    notifications: asking.notifications,
    slack: asking.slack,
    tokens,
    budgets,
    upstreamGrants,
    ...watching,
    logger,
    version,
  }
  return {
    services: { ...open, signIn, gateway, connections: table, export: shipping },
    gateway,
    table,
    directory,
  }
}

async function openBudgets({ state }: Storage, undo: AsyncDisposableStack): Promise<Budgets> {
  const budgets = new Budgets({ state, clock: systemClock })
  await budgets.start()
  undo.defer(() => budgets.stop())
  return budgets
}

/** What people consent to, and the calls that wait for it. */
async function openConsent(
  { config }: LoadedConfig,
  { storage, audit, directory }: Pick<OpenLog, 'storage' | 'audit'> & { readonly directory: string },
  undo: AsyncDisposableStack,
) {
  const parts = { state: storage.state, audit, clock: systemClock, findEntry: findEntryIn(storage) }
  const approvals = new Approvals(parts)
  await approvals.start()
  undo.defer(() => approvals.stop())
  const grants = new Grants(parts, config.approvals.grants)
  await grants.start()
  const breakGlass = new BreakGlass(parts, config.approvals.break_glass)
  await breakGlass.start()
  const pins = new DefinitionPins(parts)
  await pins.start()
  const deferrals = await openDeferrals({ state: storage.state, approvals, keys: join(directory, 'keys') })
  undo.defer(() => deferrals.close())
  const keeping = await openKeeping({
    state: storage.state,
    keys: join(directory, 'keys'),
    clock: systemClock,
  })
  undo.defer(() => keeping.close())
  return { approvals, grants, breakGlass, pins, deferrals, keeping }
}

/** The secrets of the connections, and the consent of people to be represented at their upstreams. */
async function openVault(
  base: string,
  directory: string,
  parts: Pick<UpstreamGrantsParts, 'state' | 'audit' | 'publicUrl' | 'connections'>,
) {
  const key = await loadSealingKey(join(directory, 'keys'), 'upstream-tokens')
  const upstreamGrants = new UpstreamGrants({ ...parts, clock: systemClock, key, base })
  return { upstreamGrants, credentials: createCredentials({ base, grants: upstreamGrants }) }
}

/** What works behind the path: shipping to the sinks, and the removal of what is past its time. */
async function openFollowers(
  { config, base }: LoadedConfig,
  parts: OpenLog & { readonly recordings: EncryptedRecordings; readonly sessions: OpenSessions },
  { logger, undo }: Opened,
) {
  const { storage, audit, checkpoint, registry, published, recordings, sessions } = parts
  const shipping = createExport({
    log: storage.log,
    audit,
    state: storage.state,
    sinks: config.sinks,
    clock: systemClock,
    registry,
    version,
    checkpoint,
    secret: reference => openSecret(reference, base),
    resolvePath: path => resolve(base, path),
  })
  undo.defer(() => shipping.stop(closeGraceMs))
  const retention = await Retention.open({
    storage,
    audit,
    recordings,
    sessions: {
      isRunning: id => sessions.find(id) !== undefined,
      async end(id, reason) {
        const session = sessions.find(id)
        if (session !== undefined) await sessions.close(session, reason)
      },
    },
    published,
    checkpoint,
    logger,
    clock: systemClock,
    config: config.retention,
    sinks: config.sinks.map(each => each.name),
  })
  undo.defer(() => retention.close())
  return { shipping, retention }
}

type OpenLog = Awaited<ReturnType<typeof openLog>>

/** The log first: whatever else start-up does is already recorded. */
async function openLog({ config, base }: LoadedConfig, directory: string, { logger, onFault, undo }: Opened) {
  const fault = onFault ?? (() => undefined)
  const storage = await openEmbeddedStorage({ directory, config: config.storage })
  undo.defer(() => storage.close())
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const { watermarks: marks } = config.storage
  const disk = await DiskWatch.open({ space: () => storage.diskSpace(), marks, logger, registry })
  undo.defer(() => disk.close())
  const published = join(directory, 'log')
  let audit: AuditLog | undefined
  const witnesses = openWitnesses({
    config: config.audit,
    published,
    checkpointer: () => checkpointer,
    note: async (kind, attributes) => audit?.note(kind, attributes),
    registry,
    logger,
  })
  const checkpointer = await openCheckpointer({
    directory: published,
    policy: policyOf(config.audit),
    ...config.audit.checkpoint,
    onPublished: head => witnesses?.signed(head),
    keyFiles: [join(directory, 'keys', 'log.key')],
    ...(config.audit.keys === undefined ? {} : { keys: config.audit.keys, base }),
    onRetired: vkey => {
      audit?.note('key.rotated', { purpose: 'log', step: 'retired', old: vkey }).catch((error: Error) => {
        logger.error('the end of a signing key was not recorded', { vkey, error: error.message })
      })
    },
    origin: config.origin,
    store: storage.log,
    onFailure: atMostEvery(10_000, error =>
      logger.warn('checkpoint not published', { error: error.message }),
    ),
    onAlarm: alarm => (audit === undefined ? fault(alarm) : audit.distrust(alarm)),
  })
  undo.defer(() => checkpointer.close())
  undo.defer(() => witnesses?.close())
  const root = async (): Promise<string> => (await checkpointer.catchUp()).root
  audit = await openAudit({
    store: storage.log,
    origin: config.origin,
    root,
    onFault: fault,
    heartbeat: config.audit.heartbeat,
    admit: () => disk.refuseAction() ?? witnesses?.refusal(),
  })
  const opened = audit
  undo.defer(() => opened.close(closeGraceMs))
  opened.onGrowth(() => checkpointer.grew())
  const signingKeys = await openSigningKeys(checkpointer, opened)
  await disk.tell(opened)
  if (witnesses?.refusal() !== undefined) {
    // So that a log that is witnessed refuses nobody for want of a first answer.
    await checkpointer.publish()
    await witnesses.settled()
  }
  return {
    storage,
    audit: opened,
    published,
    checkpoint: () => checkpointer.head,
    registry,
    disk,
    signingKeys,
    witnesses: () => witnesses?.state,
  }
}
