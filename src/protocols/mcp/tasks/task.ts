/** A task as the gateway keeps it for one identity: the call that it stands for, and how that stands. */
import type { Obligations } from '../../../model/decision.ts'
import type { Meaning } from '../action.ts'
import type { Fields, RpcErrorBody } from '../rpc.ts'

export type Standing =
  /** A person decides. */
  | { readonly at: 'held'; readonly approval: string }
  /** It runs, or did when a process ended. */
  | { readonly at: 'running' }
  /** The server asks its client; what was answered so far. */
  | {
      readonly at: 'asks'
      readonly requests: Fields
      readonly answers: Fields
      readonly requestState?: string
    }
  /** The server has a task of its own. */
  | { readonly at: 'upstream'; readonly id: string }
  | { readonly at: 'completed'; readonly result: Fields }
  | { readonly at: 'failed'; readonly error: RpcErrorBody }
  | { readonly at: 'cancelled'; readonly why: string }

export interface Task {
  readonly v: 1
  readonly id: string
  /** Of the call. */
  readonly meaning: Meaning
  /** The call's params as they came, and the headers that go with them; gone once it has ended. */
  readonly call?: { readonly params: Fields; readonly headers: readonly (readonly [string, string])[] }
  /** Of the entry that the call got, where that is known. */
  readonly entry?: string
  /** Profiles that mask the answer, as policy said when the call ran. */
  readonly mask: readonly string[]
  readonly obligations?: Pick<Obligations, 'maskRequest' | 'record'>
  readonly outputSchema?: unknown
  /** Rounds in which the server has asked, so that no key is used twice. */
  readonly rounds: number
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  readonly updatedAt: number
  /** When its client may give it up. */
  readonly until: number
  /** How long what it has come to is kept, milliseconds. */
  readonly ttlMs: number
  /** What is said of it to its client's user. */
  readonly note?: string
  readonly standing: Standing
}

/** Milliseconds between two looks. */
const pollHeldMs = 3000
const pollRunningMs = 2000

export function hasEnded({ standing: { at } }: Task): boolean {
  return at === 'completed' || at === 'failed' || at === 'cancelled'
}

/** `Task` of the extension. */
export function summaryOf(task: Task): Fields {
  const { id, createdAt, updatedAt, until, standing } = task
  const said = standing.at === 'cancelled' ? standing.why : task.note
  return {
    taskId: id,
    status: statusOf(task),
    ...(said === undefined ? {} : { statusMessage: said }),
    createdAt: new Date(createdAt).toISOString(),
    lastUpdatedAt: new Date(updatedAt).toISOString(),
    ttlMs: Math.max(0, until - createdAt),
    pollIntervalMs: standing.at === 'held' ? pollHeldMs : pollRunningMs,
  }
}

/** `DetailedTask` of the extension. */
export function detailOf(task: Task): Fields {
  const { standing } = task
  const summary = summaryOf(task)
  switch (standing.at) {
    case 'asks':
      return { ...summary, inputRequests: openRequests(standing) }
    case 'completed':
      return { ...summary, result: standing.result }
    case 'failed':
      return { ...summary, statusMessage: standing.error.message, error: standing.error }
    case 'held':
    case 'running':
    case 'upstream':
    case 'cancelled':
      return summary
  }
}

/** Questions that have no answer yet. */
export function openRequests({ requests, answers }: Extract<Standing, { at: 'asks' }>): Fields {
  return Object.fromEntries(Object.entries(requests).filter(([key]) => !Object.hasOwn(answers, key)))
}

function statusOf({ standing }: Task): string {
  switch (standing.at) {
    case 'asks':
      return 'input_required'
    case 'completed':
    case 'failed':
    case 'cancelled':
      return standing.at
    case 'held':
    case 'running':
    case 'upstream':
      return 'working'
  }
}
