/**
 * The extended protocol: statements prepared, bound and executed by messages that clients send many of at once. Parse,
 * Bind, Describe and Close run nothing; they wait here and leave with the Execute that follows them, once that is
 * cleared, or when the client asks for their answers. After an error everything is dropped until Sync, as the server
 * does it.
 */
import { GatewayError } from '../../errors.ts'
import type { Masker } from '../../masking/masker.ts'
import { type Message, message } from './codec.ts'
import type { Ended } from './answer.ts'
import { columnsIn } from './descriptions.ts'
import { type Host, maskedReport } from './host.ts'
import { judge, type Judgement } from './judge.ts'
import {
  type Column,
  errorResponse,
  flush,
  formatOf,
  readBind,
  readExecute,
  readParse,
  readReport,
  readTarget,
  readyForQuery,
  type Report,
  sync,
} from './messages.ts'
import { performAll } from './perform-all.ts'
import { sqlStates } from './refusal.ts'
import type { Portal, Prepared } from './statements.ts'
import { type Unit, unitOf, unjudgedUnit } from './unit.ts'

/** A message that waits to be sent, or has been and waits for its answer. */
type Expected =
  | { readonly kind: 'parse'; readonly name: string }
  | { readonly kind: 'bind'; readonly portal: Portal }
  | { readonly kind: 'describe statement'; readonly prepared: Prepared | undefined }
  | { readonly kind: 'describe portal'; readonly portal: Portal | undefined; readonly own: boolean }
  | { readonly kind: 'close' }

interface Held {
  readonly bytes: Buffer
  readonly expected: Expected
}

/** Messages that may wait for an Execute; beyond it they are sent on. */
const mostHeld = 1000
const mostHeldBytes = 1024 * 1024

export class Pipeline {
  readonly #host: Host
  #held: Held[] = []
  #heldBytes = 0
  /** Dropping everything until Sync. */
  #skipping = false
  /** The server has had messages since its last Sync. */
  #dirty = false
  /** The server is in sync although the client has yet to ask for it. */
  #ahead = false

  constructor(host: Host) {
    this.#host = host
  }

  get dirty(): boolean {
    return this.#dirty
  }

  /** Whether messages of this type are this protocol's, as things stand. */
  takes(type: string): boolean {
    return (
      (this.#skipping && type !== 'X') || 'PBDCEHS'.includes(type) || (type === 'Q' && this.#held.length > 0)
    )
  }

  /** Resolves with true where that is all there is to do with the message. */
  async take(each: Message): Promise<boolean> {
    if (this.#skipping && each.type !== 'S') return true
    switch (each.type) {
      case 'P':
        await this.#parse(each)
        return true
      case 'B':
        await this.#bind(each)
        return true
      case 'D':
      case 'C':
        await this.#target(each)
        return true
      case 'E':
        await this.#execute(each)
        return true
      case 'H':
        await this.#settle()
        return true
      case 'S':
        await this.#sync()
        return true
      default:
        await this.#settle()
        return this.#skipping
    }
  }

  async #parse(each: Message): Promise<void> {
    const { statements, settings } = this.#host
    const { name, text, types } = readParse(each.bytes)
    const judged = judge(text)
    if ('problem' in judged) return await this.#refuseUnit(unjudgedUnit(text.toString('utf8'), judged))
    if (judged.statements.length > 1)
      return await this.#fail({
        severity: 'ERROR',
        code: sqlStates.syntax,
        message: 'cannot insert multiple commands into a prepared statement',
      })
    if (statements.full) return await this.#fail(tooMany)
    const judgement = judged.statements[0] ?? nothing
    const unit = unitOf(judgement, statements, settings.read_only)
    // What never may run is refused where it is first seen, before it is even planned.
    if (unit.problem !== undefined && unit.problem.code !== '26000') return await this.#refuseUnit(unit)
    statements.prepare(name, { judgement, types })
    await this.#hold({ bytes: each.bytes, expected: { kind: 'parse', name } })
  }

  async #bind(each: Message): Promise<void> {
    const { statements } = this.#host
    const bind = readBind(each.bytes)
    const prepared = statements.prepared(bind.statement)
    if (prepared === undefined) {
      const words =
        bind.statement === '' ? 'unnamed prepared statement' : `prepared statement "${bind.statement}"`
      return await this.#fail({ severity: 'ERROR', code: '26000', message: `${words} does not exist` })
    }
    if (statements.full) return await this.#fail(tooMany)
    const portal: Portal = { prepared, bind, passed: { rows: 0 } }
    statements.bind(portal)
    await this.#hold({ bytes: each.bytes, expected: { kind: 'bind', portal } })
  }

  async #target(each: Message): Promise<void> {
    const { statements } = this.#host
    const target = readTarget(each.bytes)
    if (target === undefined)
      throw new GatewayError('invalid-request', { detail: 'neither statement nor portal' })
    const { kind, name } = target
    let expected: Expected = { kind: 'close' }
    if (each.type === 'D') {
      expected =
        kind === 'S'
          ? { kind: 'describe statement', prepared: statements.prepared(name) }
          : { kind: 'describe portal', portal: statements.portal(name), own: false }
    } else if (kind === 'S') statements.deallocate(name)
    else statements.closePortal(name)
    await this.#hold({ bytes: each.bytes, expected })
  }

  async #execute(each: Message): Promise<void> {
    const host = this.#host
    const { portal: name, maxRows } = readExecute(each.bytes)
    const portal = host.statements.portal(name)
    const cursor = portal === undefined ? host.statements.cursor(name) : undefined
    const judgement = portal?.prepared.judgement ?? cursor
    if (judgement === undefined)
      return await this.#fail({
        severity: 'ERROR',
        code: '34000',
        message: `portal "${name}" does not exist`,
      })
    if (judgement === nothing) return await this.#executeNothing(each)
    const unit: Unit = {
      ...unitOf(judgement, host.statements, host.settings.read_only),
      maxRows,
      early: !this.#held.some(({ expected }) => expected.kind === 'bind' && expected.portal === portal),
      ...(portal === undefined
        ? {}
        : { bind: portal.bind, types: portal.prepared.types, passed: portal.passed }),
    }
    const held = this.#held
    const mayHold = host.transaction === 'I' && !this.#dirty
    // A result that may have to be masked is described first, so that its columns are known before its rows.
    if (
      portal !== undefined &&
      columnsOf(portal) === undefined &&
      !held.some(({ expected }) => describes(expected, portal))
    )
      held.push({ bytes: describePortal(name), expected: { kind: 'describe portal', portal, own: true } })
    const synced = this.#takeSync()
    const bytes = Buffer.concat([...held.map(({ bytes: own }) => own), each.bytes, synced ? sync : flush])
    this.#forgetHeld()
    const round = await performAll(host, [unit], {
      bytes,
      synced,
      mayHold,
      dirty: this.#dirty,
      alone: synced && !this.#dirty && host.transaction === 'I',
      before: masker => this.#answers(held, masker),
      columns: () => (portal === undefined ? undefined : columnsOf(portal)),
    })
    if (round.problem === undefined) {
      this.#dirty = true
      if (round.stopped) this.#stop()
      if (synced) await this.#ready()
      return
    }
    // Closing is no part of what was refused.
    const closing = held.filter(({ expected }) => expected.kind === 'close')
    await this.#fail(round.problem, closing)
    if (synced) await this.#sync()
  }

  /** A portal of a statement without words: it runs nothing, so it is no action. */
  async #executeNothing(each: Message): Promise<void> {
    await this.#settle()
    if (this.#skipping) return
    this.#host.upstream.send(Buffer.concat([each.bytes, flush]))
    this.#dirty = true
    this.#host.client.send((await this.#host.answer()).bytes)
  }

  /** A client mostly sends Sync right behind: then both go in one. */
  #takeSync(): boolean {
    const { client } = this.#host
    if (client.peek() !== 'S') return false
    client.take()
    return true
  }

  async #hold(held: Held): Promise<void> {
    this.#held.push(held)
    this.#heldBytes += held.bytes.length
    if (this.#held.length > mostHeld || this.#heldBytes > mostHeldBytes) await this.#settle()
  }

  #forgetHeld(): void {
    this.#held = []
    this.#heldBytes = 0
  }

  /** Sends what waits and passes on its answers. */
  async #settle(): Promise<void> {
    const held = this.#held
    if (held.length === 0) return
    if (await this.#refuseLooseBinds(held)) return
    this.#forgetHeld()
    const { upstream } = this.#host
    for (const { bytes } of held) upstream.send(bytes)
    upstream.send(flush)
    this.#dirty = true
    const failed = await this.#answers(held, this.#host.idleMasker)
    if (failed === undefined) return
    this.#host.client.send(failed.last)
    this.#stop()
  }

  /** Binding plans, and planning runs functions over constants: those that are not known run only as an action. */
  async #refuseLooseBinds(held: readonly Held[]): Promise<boolean> {
    const loose = held.find(
      ({ expected }) =>
        expected.kind === 'bind' && expected.portal.prepared.judgement.unknownFunctions.length > 0,
    )
    if (loose === undefined) return false
    await this.#fail({
      severity: 'ERROR',
      code: sqlStates.unsupported,
      message:
        'a statement with functions that the gateway does not know must be bound and executed together',
      hint: 'Send Bind and Execute without Flush or Sync in between.',
    })
    return true
  }

  /** Reads the answers to these, in order. Undefined: all went well; else the error, not yet sent. */
  async #answers(held: readonly Held[], masker: Masker): Promise<Ended | undefined> {
    const host = this.#host
    for (const { expected } of held) {
      for (;;) {
        const each = await host.answer(masker)
        if (each.type === 'E') {
          const sqlState = readReport(each.bytes).get('C') ?? ''
          return {
            last: maskedReport(each, masker, host.conceals),
            type: 'E',
            success: false,
            rows: 0,
            sqlState,
          }
        }
        const own = expected.kind === 'describe portal' && expected.own
        if (!own) host.client.send(each.bytes)
        if (each.type === 't') continue
        learn(expected, each, host)
        break
      }
    }
    return undefined
  }

  async #sync(): Promise<void> {
    const host = this.#host
    if (this.#ahead) {
      this.#ahead = false
      this.#skipping = false
      host.client.send(readyForQuery(host.transaction))
      return
    }
    if (!this.#skipping) await this.#settle()
    if (this.#ahead) return await this.#sync()
    host.upstream.send(sync)
    await this.#ready()
  }

  /** Waits for the server's ReadyForQuery and passes it on. */
  async #ready(): Promise<void> {
    const host = this.#host
    for (;;) {
      const each = await host.answer()
      host.client.send(each.bytes)
      if (each.type !== 'Z') continue
      host.ready(each)
      this.#dirty = false
      this.#skipping = false
      return
    }
  }

  #stop(): void {
    this.#skipping = true
    this.#forgetHeld()
    this.#host.statements.forgetPending()
  }

  /** An action that is refused before any of it is sent. */
  async #refuseUnit(unit: Unit): Promise<void> {
    await this.#settle()
    if (this.#skipping) return
    const mayHold = false
    const round = await performAll(this.#host, [unit], {
      bytes: Buffer.alloc(0),
      synced: false,
      mayHold,
      before: async () => undefined,
      columns: () => undefined,
    })
    if (round.problem === undefined) throw new GatewayError('internal')
    await this.#fail(round.problem)
  }

  /**
   * An error of the gateway's own: what the server has done since the last Sync must be undone as after an error of
   * its own, so it is made to fail too. `closing` is sent all the same.
   */
  async #fail(report: Report, closing: readonly Held[] = []): Promise<void> {
    const host = this.#host
    this.#stop()
    if (closing.length > 0) {
      for (const { bytes } of closing) host.upstream.send(bytes)
      host.upstream.send(flush)
      this.#dirty = true
      await this.#answers(closing, host.idleMasker)
    }
    host.client.send(errorResponse(report))
    if (this.#dirty || host.transaction === 'T') {
      host.upstream.send(Buffer.concat([failingParse, sync]))
      for (;;) {
        const each = await host.answer()
        if (each.type !== 'Z') continue
        host.ready(each)
        break
      }
      this.#dirty = false
    }
    this.#ahead = true
  }
}

/** What is prepared from an empty string or comments alone. */
const nothing: Judgement = {
  operations: [{ name: 'EMPTY', risk: 'read' }],
  risk: 'read',
  known: true,
  tables: [],
  qualified: [],
  references: [],
  columns: [],
  shown: [],
  stored: [],
  functions: [],
  unknownFunctions: [],
  where: true,
  settings: [],
  role: { kind: 'empty' },
  text: '',
  normalized: () => '',
}

const tooMany: Report = {
  severity: 'ERROR',
  code: sqlStates.tooLong,
  message: 'too many prepared statements and portals in one session',
}

/** A name of its own, since preparing the unnamed statement would drop the client's. It never comes to be. */
const failingParse = message('P', Buffer.from('sallyport refused\0refused by the gateway\0\0\0'))

function describePortal(name: string): Buffer {
  return message('D', Buffer.from(`P${name}\0`))
}

function describes(expected: Expected, portal: Portal): boolean {
  return expected.kind === 'describe portal' && expected.portal === portal
}

/** The columns of a portal's result: as described, or those of its statement in the formats that Bind asked for. */
function columnsOf(portal: Portal): readonly Column[] | undefined {
  if (portal.columns !== undefined) return portal.columns
  const { prepared, bind } = portal
  const { columns: of, bound } = prepared
  if (of === undefined) return undefined
  const formats = bind.resultFormats.join()
  if (bound?.of === of && bound.formats === formats) return bound.columns
  const columns = of.map((column, index) => ({ ...column, format: formatOf(bind.resultFormats, index) }))
  prepared.bound = { of, formats, columns }
  return columns
}

/** What an answer tells of statements and portals. */
function learn(expected: Expected, each: Message, host: Host): void {
  switch (expected.kind) {
    case 'parse':
      return host.statements.confirm(expected.name)
    case 'describe statement':
      if (expected.prepared !== undefined)
        expected.prepared.columns = each.type === 'T' ? columnsIn(each.bytes) : []
      return
    case 'describe portal':
      if (expected.portal !== undefined)
        expected.portal.columns = each.type === 'T' ? columnsIn(each.bytes) : []
      return
    case 'bind':
      return host.statements.confirmPortal(expected.portal)
    case 'close':
  }
}
