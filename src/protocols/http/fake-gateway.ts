/** A gateway in memory for the tests of this folder: real path, fake services, and a diary of what happened when. */
import type { ActionResult, Audit, EntryRef, OpenAction } from '../../audit/audit.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { GatewayError } from '../../errors.ts'
import type { Session } from '../../gateway/session.ts'
import type { MaskedBody, Masker } from '../../masking/masker.ts'
import type { Action } from '../../model/action.ts'
import { type Decision, noObligations, type Obligations } from '../../model/decision.ts'
import type { Subject } from '../../model/subject.ts'
import type { Frame } from '../../recording/recorder.ts'

export interface FakeEntry {
  readonly kind: string
  readonly action?: Action
  readonly result?: Partial<ActionResult>
  readonly error?: GatewayError
  readonly attributes?: Readonly<Record<string, unknown>>
}

export interface FakeGateway extends Omit<Gateway, 'approvals'> {
  readonly entries: FakeEntry[]
  /** Entry kinds and marks of the tests, in the order they happened. */
  readonly diary: string[]
  readonly frames: Frame[]
  /** What policy says; permit by default. */
  decide: (action: Action) => Partial<Decision>
  demandsBody: boolean
  secrets: Record<string, string>
  /** Awaited before an ending becomes durable. */
  beforeEnd: () => Promise<void>
  failBegin: GatewayError | undefined
  approvals: Gateway['approvals']
  maskers: (profiles: readonly string[], secrets: readonly string[]) => Masker
  readonly leases: { readonly taken: number; readonly returned: number }
  /** Resolves when an entry of this kind is there. */
  until(kind: string): Promise<FakeEntry>
}

export const goodToken = 'sp_good-token-of-ana'

export const ana: Subject = {
  issuer: 'https://idp.example.com',
  id: 'ana',
  email: 'ana@example.com',
  kind: 'agent',
  groups: [],
  method: 'token',
  claims: {},
}

export function fakeGateway(): FakeGateway {
  const entries: FakeEntry[] = []
  const diary: string[] = []
  const frames: Frame[] = []
  const waiting: { kind: string; resolve: (entry: FakeEntry) => void }[] = []
  const leases = { taken: 0, returned: 0 }
  const write = (entry: FakeEntry): EntryRef => {
    entries.push(entry)
    diary.push(entry.kind)
    for (const each of waiting.splice(0)) {
      if (each.kind === entry.kind) each.resolve(entry)
      else waiting.push(each)
    }
    return { index: entries.length - 1, id: `log.example.com/${entries.length - 1}` }
  }
  const audit: Audit = {
    origin: 'log.example.com',
    healthy: true,
    onGrowth: () => () => {},
    async note(kind, attributes) {
      return write({ kind, attributes })
    },
    async begin(_session, action) {
      await tick()
      if (gateway.failBegin !== undefined) throw gateway.failBegin
      return openAction(action, write, () => gateway.beforeEnd())
    },
  }
  const gateway: FakeGateway = {
    entries,
    diary,
    frames,
    leases,
    decide: () => ({}),
    demandsBody: false,
    secrets: { api_token: 'upstream-secret-value' },
    beforeEnd: tick,
    failBegin: undefined,
    maskers: (_profiles, secrets) => literalMasker(secrets),
    audit,
    authenticator: {
      identify: ({ token }) =>
        token === goodToken ? { subject: ana } : { refusal: { reason: 'token-unknown', claimed: {} } },
    },
    sessions: {
      resume: (subject, target, client) => session({ subject, target, client }),
      open: async (subject, target, client) => session({ subject, target, client }),
      close: async () => {},
    },
    credentials: {
      async lease() {
        leases.taken++
        return {
          secrets: gateway.secrets,
          async [Symbol.asyncDispose]() {
            leases.returned++
          },
        }
      },
    },
    policy: {
      version: 'sha256:00',
      demands: () => ({ body: gateway.demandsBody, resources: false }),
      authorize: (_subject, _connection, action) => decision(gateway.decide(action)),
      foresee: (_subject, _connection, action) => decision(gateway.decide(action)),
    },
    masker: (profiles, _connection, lease) => gateway.maskers(profiles, Object.values(lease?.secrets ?? {})),
    recorder: () => ({
      write: frame => void frames.push({ ...frame, bytes: Buffer.from(frame.bytes) }),
      seal: async () => undefined,
    }),
    guards: [],
    approvals: { settle: async () => ({ granted: false, denial: { reason: 'approval-required' } }) },
    until(kind) {
      const there = entries.find(entry => entry.kind === kind)
      return there ? Promise.resolve(there) : new Promise(resolve => waiting.push({ kind, resolve }))
    },
  }
  return gateway
}

function decision(given: Partial<Decision>): Decision {
  const obligations: Obligations = given.obligations ?? noObligations
  return {
    effect: 'permit',
    reason: 'rule-allowed',
    rule: 'r1',
    matched: ['r1'],
    shadow: [],
    policyVersion: 'sha256:00',
    ...given,
    obligations,
  }
}

function openAction(
  action: Action,
  write: (entry: FakeEntry) => EntryRef,
  beforeEnd: () => Promise<void>,
): OpenAction {
  let forwarded = false
  let ended: Promise<EntryRef> | undefined
  const finish = (entry: FakeEntry): Promise<EntryRef> =>
    (ended ??= (async () => {
      await beforeEnd()
      return write(entry)
    })())
  return {
    intent: write({ kind: 'action.intended', action }),
    decided() {},
    forwarding() {
      forwarded = true
    },
    deny: ({ reason }) => finish({ kind: 'action.denied', action, attributes: { reason } }),
    complete: result => finish({ kind: 'action.completed', action, result }),
    fail: (error, partial) =>
      finish({
        kind: forwarded ? 'action.failed' : 'action.not_forwarded',
        action,
        error,
        ...(partial && { result: partial }),
      }),
  }
}

function session(of: Pick<Session, 'subject' | 'target' | 'client'>): Session {
  const { name, protocol, sensitivity } = of.target
  return {
    id: 's_1',
    ...of,
    connection: { name, protocol, sensitivity },
    totals: { actions: 0, denied: 0, failed: 0, masked: 0, bytesIn: 0, bytesOut: 0 },
    running: new Set(),
  }
}

/** Masks given words, in plain text only; anything encoded is passed by unless `strict`. */
export function literalMasker(words: readonly string[]): Masker {
  let count = 0
  const replace = (text: string): string => {
    let out = text
    for (const word of words) {
      if (!out.includes(word)) continue
      count += out.split(word).length - 1
      out = out.replaceAll(word, '[masked]')
    }
    return out
  }
  return {
    idle: words.length === 0,
    rules: {},
    body(body, meta): MaskedBody {
      let found = 0
      async function* masked(): AsyncGenerator<Buffer, void, undefined> {
        for await (const chunk of body) {
          const before = count
          const text = replace(chunk.toString('latin1'))
          found += count - before
          count = before
          yield Buffer.from(text, 'latin1')
        }
      }
      return {
        body: masked(),
        encodings: meta.encodings,
        altered: words.length > 0,
        report: () => ({ count: found, kinds: found > 0 ? ['literal'] : [] }),
      }
    },
    header: (_name, value) => replace(value),
    parameter: (_name, value) => replace(value),
    text: replace,
    json: value => JSON.parse(replace(JSON.stringify(value))) as unknown,
    takeReport() {
      const report = { count, kinds: count > 0 ? ['literal'] : [] }
      count = 0
      return report
    },
  }
}

function tick(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
