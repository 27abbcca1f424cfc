/**
 * Has the log's heads cosigned by witnesses, behind the request path: after a head was signed, at most once in `every`,
 * all of them are asked at once about the newest head. It remembers when a quorum last cosigned; in `required` mode the
 * gateway takes no action while that is too long ago.
 */
import type { EventKind } from '../audit/events.ts'
import type { Cosignatures } from '../audit/published-tree.ts'
import { parseNote, signedBy, type VerifierKey } from '../audit/verify/signed-note.ts'
import { type Clock, systemClock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import { askWitness, type WitnessReply } from './ask-witness.ts'

export interface WitnessPeer {
  /** For people, metrics and the policy file. */
  readonly name: string
  readonly url: string
  readonly key: VerifierKey
}

export interface WitnessesOptions {
  readonly peers: readonly WitnessPeer[]
  /** How many of them must have cosigned one head. */
  readonly quorum: number
  readonly mode: 'monitor' | 'required'
  /** Milliseconds: between rounds; for one witness; how long a quorum may be absent; between `checkpoint.witnessed`. */
  readonly every: number
  readonly timeout: number
  readonly patience: number
  readonly report: number
  readonly prove: (old: number, size: number) => Promise<readonly Buffer[]>
  readonly cosign: (cosignatures: Cosignatures) => Promise<void>
  readonly note: (kind: EventKind, attributes: Readonly<Record<string, unknown>>) => Promise<unknown>
  /** Told of each change for the worse and back. */
  readonly onChange?: (state: WitnessesState) => void
  /** The last head that a quorum cosigned, as an earlier run left it: says how long ago that was. */
  readonly last?: string | undefined
  readonly clock?: Clock
}

export interface WitnessState {
  readonly name: string
  readonly result: WitnessReply['result'] | 'not-asked'
  readonly detail?: string
  /** The largest tree that it is known to have cosigned. */
  readonly size: number
  /** Milliseconds since the epoch, by the witness's clock. */
  readonly cosignedAt?: number
}

export interface WitnessesState {
  readonly mode: 'monitor' | 'required'
  readonly quorum: number
  readonly overdue: boolean
  /** When a quorum last cosigned one head, milliseconds since the epoch; absent before the first time. */
  readonly quorumAt?: number
  /** Size of that head. */
  readonly quorumSize?: number
  readonly witnesses: readonly WitnessState[]
}

/** What the log's checkpointer hands over. */
interface SignedHead {
  readonly size: number
  readonly root: string
  readonly note: string
}

interface Peer {
  readonly peer: WitnessPeer
  state: WitnessState
}

export class Witnesses {
  readonly #options: WitnessesOptions
  readonly #clock: Clock
  readonly #peers: readonly Peer[]
  readonly #stopped = new AbortController()
  #head: SignedHead | undefined
  #round: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  #reportedAt = Number.NEGATIVE_INFINITY
  #quorumAt: number | undefined
  #quorumSize: number | undefined
  /** As the log last said; undefined before it said anything. */
  #overdue = false

  constructor(options: WitnessesOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#peers = options.peers.map(peer => ({
      peer,
      state: { name: peer.name, result: 'not-asked', size: 0 },
    }))
    const last = options.last === undefined ? undefined : lastQuorum(options.last, options)
    this.#quorumAt = last?.at
    this.#quorumSize = last?.size
  }

  get state(): WitnessesState {
    const { mode, quorum } = this.#options
    return {
      mode,
      quorum,
      overdue: this.#isOverdue(),
      ...(this.#quorumAt !== undefined && { quorumAt: this.#quorumAt }),
      ...(this.#quorumSize !== undefined && { quorumSize: this.#quorumSize }),
      witnesses: this.#peers.map(({ state }) => state),
    }
  }

  /** To be called for each head that was signed. Returns at once. */
  signed(head: SignedHead): void {
    this.#head = head
    if (this.#round !== undefined || this.#timer !== undefined || this.#stopped.signal.aborted) return
    const wait = this.#askedAt + this.#options.every - performance.now()
    if (wait <= 0) void this.#start()
    else {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        void this.#start()
      }, wait).unref()
    }
  }

  /** In `required` mode: why no action may begin, while too few witnesses cosign. */
  refusal(): GatewayError | undefined {
    if (this.#options.mode === 'monitor' || !this.#isOverdue()) return undefined
    const { quorum, patience } = this.#options
    const detail = `the log has not been cosigned by ${quorum} of its witnesses for over ${patience / 1000} s`
    return new GatewayError('recording-unavailable', { detail })
  }

  /** Resolves when the round that runs now, if any, has ended. */
  async settled(): Promise<void> {
    await this.#round
  }

  async close(): Promise<void> {
    this.#stopped.abort()
    clearTimeout(this.#timer)
    await this.#round
  }

  #isOverdue(): boolean {
    return this.#quorumAt === undefined || this.#clock.now() - this.#quorumAt > this.#options.patience
  }

  #start(): Promise<void> {
    this.#askedAt = performance.now()
    this.#round = this.#ask(this.#head!)
      // What it could not write down shows in its state, and the next round tries again.
      .catch((error: unknown) => process.emitWarning(error instanceof Error ? error : String(error)))
      .finally(() => (this.#round = undefined))
    return this.#round
  }

  async #ask(head: SignedHead): Promise<void> {
    const note = bareNote(head.note, this.#peers)
    const lines = new Map<Peer, string>()
    let kept = 0
    const keep = async (): Promise<void> => {
      kept = lines.size
      const quorum = lines.size >= this.#options.quorum
      if (quorum) {
        this.#quorumAt = this.#clock.now()
        this.#quorumSize = head.size
      }
      await this.#options.cosign({ note, lines: [...lines.values()].join(''), quorum })
    }
    await Promise.all(
      this.#peers.map(async peer => {
        const reply = await this.#askOne(peer, { ...head, note })
        if (reply.result !== 'cosigned') return
        lines.set(peer, reply.line)
        // A slow witness keeps nobody waiting for a quorum that is there.
        if (lines.size === this.#options.quorum) await keep()
      }),
    )
    if (this.#stopped.signal.aborted) return
    if (lines.size > kept) await keep()
    await this.#report(head)
  }

  async #askOne(peer: Peer, head: SignedHead): Promise<WitnessReply> {
    const { url, key } = peer.peer
    const { prove, timeout } = this.#options
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(timeout)])
    const old = Math.min(peer.state.size, head.size)
    const reply = await askWitness({ url, key, note: head.note, size: head.size, old, prove, signal })
    if (this.#stopped.signal.aborted) return reply
    const before = peer.state
    const { cosignedAt } = before
    peer.state = {
      name: before.name,
      result: reply.result,
      size: before.size,
      ...(cosignedAt !== undefined && { cosignedAt }),
      ...(reply.result === 'cosigned'
        ? { size: head.size, cosignedAt: reply.time * 1000 }
        : { detail: reply.detail }),
    }
    // A witness that has seen another history is said once, each time that it begins to say so.
    const evidence = reply.result === 'forked' || reply.result === 'ahead'
    if (evidence && before.result !== reply.result) {
      this.#options.onChange?.(this.state)
      await this.#options.note('checkpoint.unwitnessed', {
        reason: reply.result,
        witness: peer.peer.name,
        size: String(head.size),
        detail: reply.detail,
      })
    }
    return reply
  }

  async #report(head: SignedHead): Promise<void> {
    const overdue = this.#isOverdue()
    const { quorum, mode, report } = this.#options
    const witnesses = this.#peers.map(({ state: { name, result, size, detail } }) => ({
      name,
      result,
      size: String(size),
      ...(detail === undefined ? {} : { detail }),
    }))
    const facts = { quorum, mode, witnesses }
    if (overdue && !this.#overdue) {
      this.#overdue = true
      this.#options.onChange?.(this.state)
      const since = this.#quorumAt === undefined ? {} : { since: new Date(this.#quorumAt).toISOString() }
      await this.#options.note('checkpoint.unwitnessed', { reason: 'no-quorum', ...since, ...facts })
      return
    }
    if (overdue || this.#quorumSize !== head.size) return
    const now = performance.now()
    if (!this.#overdue && now - this.#reportedAt < report) return
    if (this.#overdue) {
      this.#overdue = false
      this.#options.onChange?.(this.state)
    }
    this.#reportedAt = now
    await this.#options.note('checkpoint.witnessed', { size: String(head.size), root: head.root, ...facts })
  }
}

/** The checkpoint without lines of these witnesses: what they are asked to cosign. */
function bareNote(note: string, peers: readonly Peer[]): string {
  const split = note.indexOf('\n\n') + 2
  const names = new Set(peers.map(({ peer }) => peer.key.name))
  const lines = note.slice(split).split('\n').slice(0, -1)
  return (
    note.slice(0, split) +
    lines
      .filter(line => !names.has(line.split(' ')[1]!))
      .map(line => `${line}\n`)
      .join('')
  )
}

/** When the quorum was last there, by the clocks of the witnesses: the time of the last of those that it takes. */
function lastQuorum(
  text: string,
  { peers, quorum }: WitnessesOptions,
): { at: number; size: number } | undefined {
  const note = parseNote(Buffer.from(text))
  if (note === undefined) return undefined
  const times = peers
    .filter(({ key }) => signedBy(note, key) === true)
    .map(({ key }) => note.signatures.find(({ name, id }) => name === key.name && id.equals(key.id))!)
    .map(({ signature }) => Number(signature.readBigUInt64BE()) * 1000)
    .toSorted((a, b) => b - a)
  const at = times[quorum - 1]
  return at === undefined ? undefined : { at, size: Number(note.text.split('\n')[1]) }
}
