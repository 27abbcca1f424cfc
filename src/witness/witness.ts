/**
 * A witness (C2SP tlog-witness): remembers the largest tree of each log that it has seen, and cosigns nothing that is
 * not a growth of it. What it remembers is durable before it answers. It imports Node and the verifier only, and no
 * server: `serve-witness.ts` puts it on HTTP.
 */
import { createHash } from 'node:crypto'
import { emptyRoot, growthHolds } from '../audit/verify/merkle.ts'
import { signedBy, type VerifierKey } from '../audit/verify/signed-note.ts'
import type { Cosigner } from './cosigner.ts'
import { parseSubmission } from './submission.ts'
import type { WitnessStore } from './witness-store.ts'

export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422 | 500
  readonly type: 'text/plain; charset=utf-8' | 'text/x.tlog.size'
  readonly body: string
}

export interface WitnessOptions {
  readonly cosigner: Cosigner
  /** Keys of the logs that it witnesses; the name of a key is the origin. Several keys of one log may rotate. */
  readonly logs: readonly VerifierKey[]
  readonly store: WitnessStore
  /** Whole seconds since the epoch. */
  readonly now?: () => number
}

export class Witness {
  readonly cosigner: Cosigner
  readonly #logs: ReadonlyMap<string, readonly VerifierKey[]>
  readonly #store: WitnessStore
  readonly #now: () => number
  /** Set once something could not be kept: what is on disk then is not known, so nothing is cosigned any more. */
  #broken = false

  constructor({ cosigner, logs, store, now }: WitnessOptions) {
    this.cosigner = cosigner
    this.#logs = Map.groupBy(logs, each => each.name)
    this.#store = store
    this.#now = now ?? (() => Math.floor(Date.now() / 1000))
  }

  get healthy(): boolean {
    return !this.#broken
  }

  /**
   * Answers `add-checkpoint`. It runs to its end without giving way to another submission, files included, so the
   * comparison with what is remembered and its replacement are one step.
   */
  add(body: Buffer): WitnessAnswer {
    if (this.#broken) return plain(500, 'the witness can not keep what it sees and has to be restarted\n')
    const submission = parseSubmission(body)
    if (submission === undefined) return plain(400, 'not a submission as tlog-witness has it\n')
    const { old, proof, note, head } = submission
    const keys = this.#logs.get(head.origin)
    if (keys === undefined) return plain(404, 'this log is not witnessed here\n')
    if (!keys.some(key => signedBy(note, key) === true))
      return plain(403, 'not signed by the key of the log\n')
    if (old > head.size) return plain(400, 'the old size is larger than the checkpoint\n')
    const last = this.#store.last(head.origin)
    const known = last?.head ?? { size: 0, root: emptyRoot }
    if (old !== known.size) return conflict(known.size)
    if (head.size === known.size && last !== undefined && !head.root.equals(known.root))
      return conflict(known.size)
    if (!growthHolds({ old: known, now: head }, proof))
      return plain(422, 'the proof does not lead from the old tree to the new one\n')
    // The clock may be set back; what was said of a later time stays said.
    const time = Math.max(this.#now(), last?.time ?? 0)
    const line = this.cosigner.cosign(note.text, time)
    const signatures = note.signatures
      .filter(({ name, id }) => keys.some(key => key.name === name && key.id.equals(id)))
      .map(
        ({ name, id, signature }) => `\u2014 ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`,
      )
    try {
      this.#store.keep({ head, time, note: `${note.text}\n${signatures.join('')}${line}` })
    } catch (error) {
      this.#broken = true
      process.emitWarning(error instanceof Error ? error : String(error))
      return plain(500, 'the checkpoint could not be kept\n')
    }
    return plain(200, line)
  }

  /** The last checkpoint that was cosigned of the log with this name, for monitors; undefined where there is none. */
  checkpoint(originHash: string): string | undefined {
    for (const origin of this.#logs.keys())
      if (hashOrigin(origin) === originHash) return this.#store.last(origin)?.note
    return undefined
  }
}

/** How monitors name a log: the SHA-256 of its origin, hex. */
export function hashOrigin(origin: string): string {
  return createHash('sha256').update(origin).digest('hex')
}

function plain(status: WitnessAnswer['status'], body: string): WitnessAnswer {
  return { status, type: 'text/plain; charset=utf-8', body }
}

function conflict(size: number): WitnessAnswer {
  return { status: 409, type: 'text/x.tlog.size', body: `${size}\n` }
}
