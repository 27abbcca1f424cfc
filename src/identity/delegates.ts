/**
 * Programs that the gateway runs for people and agents, and that may call back: each has a credential of the gateway's
 * own, which is good only while the program works on somebody's call, and then stands for that somebody. So a server
 * that needs an API gets no key to it, and what it does there is done by whom it was asked, judged and recorded so.
 */
import { timingSafeEqual } from 'node:crypto'
import { type Subject, subjectKey } from '../model/subject.ts'
import { readTraceparent, type Trace } from '../model/trace.ts'
import { sha256 } from '../sha256.ts'
import type { Identified, IdentityProvider, PresentedCredential, ProviderStatus } from './authenticator.ts'
import type { RefusalReason } from './refusals.ts'

/** A call that a program works on. */
export interface Errand {
  /** Who asked for it, as verified at that call. */
  readonly subject: Subject
  /** Id and operation of the action. */
  readonly action: string
  readonly operation: string
  readonly trace: Trace
}

/** A program: whose it is, what it may use, and on what it works. */
export interface Delegate {
  readonly connection: string
  readonly server: string
  /** Names of connections at which its credential is taken. */
  readonly reaches: readonly string[]
  /** Its calls under way. Asked at each use of the credential. */
  errands(): readonly Errand[]
}

/**
 * What a call was brought about by. `errand` is absent where several calls were under way and nothing tells which of
 * them it was: that is said, and not guessed.
 */
export interface Cause {
  readonly connection: string
  readonly server: string
  /** How many calls the program was working on. */
  readonly running: number
  readonly errand?: Errand
  /** The trace that all of them are in. */
  readonly traceId?: string
}

export const delegatePrefix = 'spd_'

/** In memory alone: a program does not outlive the process that started it. */
export class Delegates implements IdentityProvider {
  /** By the hash of the credential, so that the lookup tells nothing of the others. */
  readonly #known = new Map<string, { readonly digest: Buffer; readonly delegate: Delegate }>()

  /** From here on the credential stands for whoever the program works for. Returns how to end that. */
  admit(token: string, delegate: Delegate): () => void {
    const digest = sha256(token)
    const key = digest.toString('hex')
    const entry = { digest, delegate }
    this.#known.set(key, entry)
    return () => {
      if (this.#known.get(key) === entry) this.#known.delete(key)
    }
  }

  recognizes({ token }: PresentedCredential): boolean {
    return token.startsWith(delegatePrefix)
  }

  identify({ token, path, traceparent }: PresentedCredential): Identified {
    const digest = sha256(token)
    const found = this.#known.get(digest.toString('hex'))
    if (found === undefined || !timingSafeEqual(found.digest, digest)) return refuse('delegate-unknown')
    const { delegate } = found
    // What is not a connection (the API, the console) has another path, or none.
    const reached = delegate.reaches.some(name => path === `/c/${name}`)
    if (!reached) return refuse('delegate-elsewhere', delegate)
    return answer(delegate, readTraceparent(traceparent)?.spanId)
  }

  status(): readonly ProviderStatus[] {
    const size = this.#known.size
    return size === 0 ? [] : [{ name: 'programs of the gateway', ok: true, detail: `${size} running` }]
  }

  warm(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#known.clear()
    return Promise.resolve()
  }
}

/** Whom it stands for now. `spanId`: of the call that the program says it is in, where it goes on with traces. */
function answer(delegate: Delegate, spanId: string | undefined): Identified {
  const errands = delegate.errands()
  const [first, ...others] = errands
  if (first === undefined) return refuse('delegate-idle', delegate)
  const { connection, server } = delegate
  const of = { connection, server, running: errands.length }
  // It can name none but its own calls, and a span is known to nobody whom it was not given.
  const errand = others.length === 0 ? first : errands.find(each => each.trace.spanId === spanId)
  const { traceId } = first.trace
  if (errand !== undefined) {
    return { subject: errand.subject, cause: { ...of, errand, traceId: errand.trace.traceId } }
  }
  const key = subjectKey(first.subject)
  if (others.some(each => subjectKey(each.subject) !== key)) return refuse('delegate-ambiguous', delegate)
  const shared = others.every(each => each.trace.traceId === traceId)
  return { subject: errands.at(-1)!.subject, cause: { ...of, ...(shared ? { traceId } : {}) } }
}

function refuse(reason: RefusalReason, delegate?: Delegate): Identified {
  if (delegate === undefined) return { refusal: { reason } }
  const subject = `${delegate.connection}/${delegate.server}`
  return { refusal: { reason, claimed: { issuer: 'sallyport', subject } } }
}

/** What an entry says of the cause. */
export function causeFacts({
  connection,
  server,
  running,
  errand,
}: Cause): Readonly<Record<string, unknown>> {
  return {
    connection,
    server,
    running,
    ...(errand === undefined ? {} : { action: errand.action, operation: errand.operation.slice(0, 256) }),
  }
}
