/** Tasks in the gateway's keeping: each for its owner alone, changed one step at a time. */
import { GatewayError } from '../../../errors.ts'
import type { Keeping, Owner } from '../../../gateway/keeping.ts'
import { readValue, writeJson } from '../codec.ts'
import type { Task } from './task.ts'

/** What is past its time is kept a little longer, so that an approval given at the last moment can still run. */
const graceMs = 60 * 60_000

export class TaskStore {
  readonly #keeping: Keeping
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #watchers = new Map<string, Set<() => void>>()

  constructor(keeping: Keeping) {
    this.#keeping = keeping
  }

  async find(owner: Owner, id: string): Promise<Task | undefined> {
    const bytes = await this.#keeping.get(owner, id)
    return bytes === undefined ? undefined : (readValue(bytes.toString('utf8')) as Task | undefined)
  }

  /** Durable when it resolves. False: there is no room, or it is nested deeper than can be read again. */
  async add(owner: Owner, task: Task): Promise<boolean> {
    if (readValue(writeJson(task)) === undefined) return false
    return await this.#inTurn(task.id, () => this.#put(owner, task))
  }

  /**
   * The task after this change, durable; `step` gives the same object for none. Undefined where there is no such task
   * of this owner's.
   */
  async change(owner: Owner, id: string, step: (task: Task) => Task): Promise<Task | undefined> {
    return await this.#inTurn(id, async () => {
      const before = await this.find(owner, id)
      if (before === undefined) return undefined
      const after = step(before)
      if (after === before) return before
      if (!(await this.#put(owner, after))) return await this.#withoutResult(owner, after)
      this.#tell(id)
      return after
    })
  }

  /** Resolves at the next change, after `ms`, or when the signal fires. */
  async changed(id: string, ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    await new Promise<void>(resolve => {
      const set = this.#watchers.get(id) ?? new Set()
      this.#watchers.set(id, set)
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        set.delete(done)
        if (set.size === 0) this.#watchers.delete(id)
        resolve()
      }
      const timer = setTimeout(done, ms)
      timer.unref()
      set.add(done)
      signal.addEventListener('abort', done, { once: true })
    })
  }

  /** The truth in few words, where the whole of it finds no room. Throws `overloaded`. */
  async #withoutResult(owner: Owner, task: Task): Promise<Task> {
    const text =
      'The call was executed. There is no room to keep its result; its entry in the log says how it ended.'
    const result = { content: [{ type: 'text', text }], isError: true }
    const small: Task =
      task.standing.at === 'completed' ? { ...task, standing: { at: 'completed', result } } : task
    if (!(await this.#put(owner, small))) throw new GatewayError('overloaded')
    this.#tell(task.id)
    return small
  }

  async #put(owner: Owner, task: Task): Promise<boolean> {
    const value = Buffer.from(writeJson(task))
    return await this.#keeping.put(owner, task.id, { value, until: task.until + graceMs })
  }

  #tell(id: string): void {
    for (const wake of this.#watchers.get(id) ?? []) wake()
  }

  async #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).catch(() => undefined).then(work)
    this.#turns.set(id, turn)
    try {
      return await turn
    } finally {
      if (this.#turns.get(id) === turn) this.#turns.delete(id)
    }
  }
}
