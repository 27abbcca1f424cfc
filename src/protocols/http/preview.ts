/**
 * What an update, a deletion or a creation would change: the gateway reads the current state by itself and compares.
 * The read takes the path like any action (an intent, a lease, the masks, an end), as the gateway's own subject and
 * under its own policy, which allows this one read and nothing else.
 */
import { hash } from 'node:crypto'
import type { ActionResult, EntryRef } from '../../audit/audit.ts'
import { canonicalJson, type Json } from '../../audit/canonical-json.ts'
import type { Lease } from '../../credentials/lease.ts'
import { GatewayError } from '../../errors.ts'
import type {
  ActionPreview,
  Cleared,
  Denial,
  Exchange,
  Recorded,
  Reply,
  Seal,
} from '../../gateway/exchange.ts'
import type { Masker } from '../../masking/masker.ts'
import type { Recorder } from '../../recording/recorder.ts'
import { HttpAction } from './action.ts'
import { compareState, describeState } from '../../model/compare.ts'
import type { HttpOperation } from './flavour.ts'
import { readJson } from './json.ts'
import { bothMaskers } from '../../masking/both-maskers.ts'
import { performOwn } from '../own-reads.ts'
import { recordedRequest } from './masks.ts'
import type { ExchangeParts } from './outgoing.ts'
import { HttpReply, MaskedHttpReply } from './reply.ts'
import type { RequestHead } from './request.ts'
import { Call } from './upstream.ts'

/** Nobody waits longer for a preview than this. */
const timeoutMs = 10_000
/** A state over this size is not compared. */
const maxState = 1024 * 1024
/**
 * The preview of an action; undefined where nothing can be told. Never throws. `masker` is what the request is masked
 * with; the state gets the same.
 */
export async function previewAction(
  parts: ExchangeParts,
  masker: Masker,
): Promise<ActionPreview | undefined> {
  const { flavour, operation, body } = parts
  const asked = body?.judged?.value
  const plan = flavour.previewOf?.(operation, { method: parts.head.method, path: parts.head.judged })
  try {
    if (plan === undefined) return undefined
    // What it masked of the request is no part of what the read's entry counts.
    masker.takeReport()
    const own = ownMasks(parts, masker)
    if (plan.kind === 'create') return { kind: 'create', ...describeState(own.json(asked), 'after') }
    const read = await readState(parts, { path: plan.path, masker: own })
    if (read === undefined) return undefined
    const changes =
      plan.kind === 'delete'
        ? describeState(read.state, 'before')
        : compareState(read.state, { raw: asked, masked: own.json(asked) })
    const fingerprint = hash('sha256', canonicalJson(withoutVolatile(read.state, new Set(plan.volatile))))
    return { kind: plan.kind, ...changes, fingerprint, readEntry: String(read.entry.index) }
  } catch {
    // A preview that can't be made is none: the approver still sees the exact request.
    return undefined
  }
}

function ownMasks({ gateway, connection, operation }: ExchangeParts, given: Masker): Masker {
  return bothMaskers(given, gateway.masker(['secrets', ...(operation.mask ?? [])], connection))
}

interface Read {
  readonly state: Json
  readonly entry: EntryRef
}

async function readState(
  parts: ExchangeParts,
  of: { readonly path: string; readonly masker: Masker },
): Promise<Read | undefined> {
  const { connection, flavour, gateway } = parts
  const operation = flavour.operationOf({ method: 'GET', path: of.path })
  if (!operation.known || operation.risk !== 'read') return undefined
  const exchange = new StateRead(parts, { operation, ...of })
  await performOwn(gateway, { connection, masker: of.masker, exchange })
  return exchange.read
}

/** The exchange of one read: towards the upstream like a client's, towards nobody on this side. */
class StateRead implements Exchange {
  readonly action: HttpAction
  readonly signal: AbortSignal
  readonly #parts: ExchangeParts
  readonly #operation: HttpOperation
  readonly #head: RequestHead
  readonly #call: Call
  #starting = (): void => {}
  #bytes = 0
  read: Read | undefined

  constructor(parts: ExchangeParts, of: { readonly operation: HttpOperation; readonly path: string }) {
    this.#parts = parts
    this.#head = headOf(of.path)
    const facts = { ...of.operation.facts, purpose: 'preview', preview_of: parts.action.id }
    this.#operation = { ...of.operation, facts }
    this.action = new HttpAction(this.#head, this.#operation)
    this.#call = new Call(() => this.#starting())
    this.signal = new AbortController().signal
  }

  record(recorder: Recorder, masker: Masker): void {
    const bytes = recordedRequest(this.#head, masker, this.#operation.resource)
    void recorder.write({ from: 'client', part: 'head', bytes })
  }

  async forward(_cleared: Cleared, lease: Lease, starting: () => void): Promise<Reply> {
    const { flavour, upstream } = this.#parts
    this.#starting = starting
    const injection = flavour.inject(this.#operation, lease.secrets)
    const query = (injection.query ?? []).map(pair => pair.map(encodeURIComponent).join('='))
    const path = this.#operation.upstream.prefix + this.#head.path
    const timer = setTimeout(() => this.#call.cancel(new GatewayError('upstream-timeout')), timeoutMs)
    try {
      await upstream.call(
        this.#operation.upstream,
        {
          method: 'GET',
          path: query.length === 0 ? path : `${path}?${query.join('&')}`,
          headers: [...this.#head.headers, ...(injection.headers ?? []).flat()],
          body: undefined,
        },
        { secrets: lease.secrets, call: this.#call },
      )
    } finally {
      clearTimeout(timer)
    }
    return new HttpReply(this.#call, {
      method: 'GET',
      setCookies: [],
      rewrite: url => url,
      masker: given => given,
    })
  }

  async send({ reply }: Recorded, seal: Seal): Promise<void> {
    if (!(reply instanceof MaskedHttpReply)) throw new TypeError('a reply of another protocol')
    const timer = setTimeout(() => this.#call.cancel(new GatewayError('upstream-timeout')), timeoutMs)
    try {
      const bytes = await this.#gather(reply)
      const entry = await seal({
        success: this.#call.status < 400,
        facts: this.#facts(),
        bytesIn: 0,
        bytesOut: this.#bytes,
        masked: reply.report(),
        upstreamDuration: Math.round((performance.now() - this.#call.startedAt) * 1e6),
      })
      const found = this.#call.status === 200 ? readJson(bytes) : undefined
      if (found !== undefined) this.read = { state: found.value as Json, entry }
    } finally {
      clearTimeout(timer)
    }
  }

  async #gather(reply: MaskedHttpReply): Promise<Buffer> {
    const body = await reply.settle()
    reply.recordHead(reply.head(undefined))
    if (body.kind === 'none') return Buffer.alloc(0)
    const pieces: Buffer[] = []
    for await (const piece of body.kind === 'whole' ? [body.bytes] : body.chunks) {
      this.#bytes += piece.length
      if (this.#bytes > maxState)
        throw new GatewayError('upstream-invalid', { detail: 'the state is too large to be compared' })
      await reply.recordBody(piece)
      pieces.push(piece)
    }
    return Buffer.concat(pieces)
  }

  async refuse(_denial: Denial): Promise<void> {}

  async abort(error: GatewayError): Promise<void> {
    this.#call.cancel(error)
  }

  progress(): Partial<ActionResult> {
    return this.#call.status === 0 ? {} : { facts: this.#facts(), bytesOut: this.#bytes }
  }

  #facts(): Record<string, unknown> {
    return { http: { status_code: this.#call.status } }
  }
}

function headOf(path: string): RequestHead {
  return {
    method: 'GET',
    version: '1.1',
    path,
    judged: path,
    query: [],
    headers: ['Accept', 'application/json', 'Accept-Encoding', 'identity', 'User-Agent', 'sallyport'],
    authority: '',
    contentType: undefined,
    encodings: [],
    contentLength: undefined,
    hasBody: false,
    expectsContinue: false,
    range: undefined,
    ifRange: undefined,
    agent: undefined,
    waitSeconds: undefined,
    respondAsync: false,
    tokens: [],
  }
}

/** Without the fields that change by themselves, wherever they stand. */
function withoutVolatile(value: Json, names: ReadonlySet<string>): Json {
  if (Array.isArray(value)) return value.map((each: Json) => withoutVolatile(each, names))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !names.has(name))
      .map(([name, each]) => [name, withoutVolatile(each as Json, names)]),
  )
}
