/**
 * What a protocol can tell of recorded actions besides showing them: how to do them again somewhere else, what they
 * changed, and what would set that back. Nothing here acts by itself; whoever acts opens a `Stage` and is responsible
 * for where it leads.
 */
import type { Entry } from '../audit/events.ts'
import type { TimedFrame } from '../recording/frames.ts'

/** The terminal entry of an action and what was recorded of it, masked. */
export interface RecordedExchange {
  readonly entry: Entry
  readonly frames: readonly Pick<TimedFrame, 'from' | 'part' | 'bytes'>[]
}

/** Something that can be asked for, as the protocol that made it understands it. */
export interface ReplayCall {
  /** For people: `PUT /api/v1/monitor/42`. */
  readonly words: string
  /** The action's operation and resource, as an entry would name them. */
  readonly operation: string
  readonly resource: string
  /** What it would bring, for people; may be masked. */
  readonly body?: unknown
}

/** What an action did to one object. */
export interface RecordedChange {
  readonly kind: 'create' | 'update' | 'delete'
  /** Where the object can be read; for a creation where it can be read since. Undefined: nobody knows how. */
  readonly place?: string
  /** The object as the answer told it; undefined where the answer does not. */
  readonly after?: unknown
  /** Fields that change without anybody's doing, wherever they stand. */
  readonly volatile: readonly string[]
}

export interface ToldExchange {
  readonly call: ReplayCall
  /** What conditions see as `request`, from the masked recording. */
  readonly content: Readonly<Record<string, unknown>>
  readonly succeeded: boolean
  readonly change?: RecordedChange
  /** Objects that the answer showed whole, by their place. */
  readonly seen: readonly { readonly place: string; readonly state: unknown }[]
}

/** What sets an action back. */
export interface Inverse {
  readonly call: ReplayCall
  /** What is changed by it, for comparison: the object as it will be; undefined: the upstream keeps what it was. */
  readonly becomes?: unknown
  /** What people must know before they say yes. */
  readonly warnings: readonly string[]
  /** Set where the object comes back under another name: what may still name the old one can be looked for. */
  readonly replaces?: { readonly id: string; readonly lists: readonly string[] }
}

/** Why something can't be told or done, in words that follow a colon. */
export interface Unable {
  readonly unable: string
}

/** Pure but for `open`. Every function is total: what a recording does not hold is told as `unable`. */
export interface Reenactor {
  tell(exchange: RecordedExchange): ToldExchange | Unable
  /** The state that the gateway read before a change, from the recording of that read. */
  stateOf(exchange: RecordedExchange): { readonly state: unknown; readonly masked: boolean } | Unable
  /** `before`: undefined where none was recorded. */
  inverseOf(
    told: ToldExchange,
    before: { readonly state: unknown; readonly masked: boolean } | undefined,
  ): Inverse | Unable
  /** The call with other names for objects, such as those that a sandbox gave. */
  renamed(call: ReplayCall, names: ReadonlyMap<string, string>): ReplayCall
  /** The id of an object that was created, from its state. */
  idOf(state: unknown): string | undefined
  /** `base`: the address; `headers` go with every call. */
  open(base: string, headers: Readonly<Record<string, string>>): Stage
}

export interface StageAnswer {
  readonly ok: boolean
  /** For people: `200`, `403 Forbidden`. */
  readonly words: string
  /** The object, where the answer is one. */
  readonly state?: unknown
  /** Set where a person must decide first. */
  readonly approval?: string
}

/** A place where calls are made. Rejects where nothing answers. */
export interface Stage {
  send(call: ReplayCall): Promise<StageAnswer>
  /** The object at a place; undefined: it is not there. Throws where that can't be told. */
  read(place: string): Promise<unknown>
  /** Sandboxes alone: whether it says that it is one. */
  isSandbox(): Promise<boolean>
  /** Sandboxes alone: puts an object at its place. */
  plant(place: string, state: unknown): Promise<void>
}
